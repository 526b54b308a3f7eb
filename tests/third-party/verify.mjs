// Verifies a bundle with npm's @sigstore/verify and a public key in PEM; prints the payload, or fails.
import { readFileSync } from 'node:fs';
import { createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.REBUILDER_THIRD_PARTY}/package.json`);
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const [bundlePath, keyPath] = process.argv.slice(2);
const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath, 'utf8')));
const hint = bundle.verificationMaterial.content.publicKey.hint;
const root = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const trust = toTrustMaterial(root, (wanted) => {
  if (wanted !== hint) throw new Error(`no key ${wanted}`);
  return { publicKey: createPublicKey(readFileSync(keyPath, 'utf8')), validFor: () => true };
});
// A key of one's own, without a transparency log: the key itself is what the verifier trusts.
const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
new Verifier(trust, thresholds).verify(toSignedEntity(bundle));
process.stdout.write(bundle.content.dsseEnvelope.payload);
