//! Rebuilds a wheel through the library: `cargo run --example rebuild_wheel -- pypi:idna==3.10`

use std::error::Error;

use rebuilder::artifact::Subject;
use rebuilder::compare::Options;
use rebuilder::container::{Catalog, Workshop};
use rebuilder::ecosystem::Planner;
use rebuilder::ecosystem::hints::Hints;
use rebuilder::execute::Executor;
use rebuilder::inspect::InspectionRequest;
use rebuilder::progress::Progress;
use rebuilder::rebuild::Rebuilder;
use rebuilder::run::{Evidence, RunFolder};
use rebuilder::sandbox::embedded::{Embedded, HELPER_ARGUMENT, serve};
use rebuilder::store::{Fetcher, Store};

fn main() -> Result<(), Box<dyn Error>> {
    // The sandbox starts this program again as its helper, which must have only one thread.
    if std::env::args().nth(1).as_deref() == Some(HELPER_ARGUMENT) {
        std::process::exit(serve());
    }
    let subject: Subject = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "pypi:idna==3.10".into())
        .parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let progress = Progress::new(false);
        let store = Store::open(None)?;
        let fetcher = Fetcher::new(&store, Vec::new(), false, progress.clone());
        let (catalog, sandbox) = (Catalog::new(None), Embedded::new(&store)?);
        let case = InspectionRequest::usual()?;
        let workshop = Workshop {
            fetcher: &fetcher,
            catalog: &catalog,
            sandbox: &sandbox,
            progress: &progress,
        };
        let planner = Planner {
            workshop,
            recipe: None,
            only: false,
            case: &case,
            released: Vec::new(),
            hints: Hints::default(),
        };
        let plan = planner.plan(&subject).await?;
        println!("plan {} with {} inputs", plan.digest()?, plan.inputs.len());

        let folder = tempfile::tempdir()?;
        let rebuilder = Rebuilder {
            executor: Executor {
                workshop,
                backend: &sandbox,
            },
            evidence: Evidence::Verified,
            compare: Options::default(),
            searched: rebuilder::credentials::Searched::default(),
        };
        let (_, record) = rebuilder.rebuild(plan, &RunFolder::new(folder.path())).await?;
        println!("{}: {}", record.subject, record.verdict);
        Ok(())
    })
}
