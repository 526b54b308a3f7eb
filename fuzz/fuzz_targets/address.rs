#![no_main]

use rebuilder::artifact::git_source::GitSource;
use rebuilder::artifact::{PinnedImage, Subject};
use rebuilder::store::{AllowedHost, MirrorMap};

// Whatever names a place: it is read or refused, and what is read is written so that it reads the same again.
libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(subject) = text.parse::<Subject>() {
        let again = subject
            .purl()
            .parse::<Subject>()
            .expect("a package URL of ours is read");
        assert_eq!(again.purl(), subject.purl());
    }
    if let Ok(source) = GitSource::from_uri(text, None) {
        assert_eq!(
            GitSource::new(&source.repository, source.reference.as_deref(), None).as_ref(),
            Ok(&source)
        );
    }
    if let Ok(image) = PinnedImage::parse(text, None) {
        let again = PinnedImage::parse(&image.to_string(), None).expect("an image of ours is read");
        assert_eq!(again, image);
    }
    let _ = text.parse::<MirrorMap>();
    let _ = text.parse::<AllowedHost>();
});
