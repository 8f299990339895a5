//! The rounds of a watch: build, load, try, let it serve. One that is outdated is given up for the next.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use posemesh_node_core::shutdown::Shutdown;
use posemesh_plugin_host::load::Loader;
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_cases::case;
use posemesh_text::{escaped, one_line};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::build::{Built, build};
use super::changes::Changes;
use super::dep_info::files_of;
use super::place::Place;
use super::project::{Asked, Project};
use super::sources::{Counts, Sources};
use super::staged::Staged;
use crate::commands::plugin::cases::{HowToRun, run_all, sum_up};
use crate::output::{out, tell};
use crate::runner_loading::load_by;

/// How many files that have changed are named.
const NAMED: usize = 4;
/// How much of their names is shown, in bytes.
const SHOWN_BYTES: usize = 200;
/// So many rounds in a row that are given up for the same file are told with what may help.
const SUSPICIOUS: u32 = 3;
/// How far the times of files may be behind the clock.
const CLOCK_SLACK: Duration = Duration::from_millis(20);

/// What the rounds share.
pub(super) struct Rounds {
    asked: Asked,
    /// What the folder was when it was looked at last.
    project: Project,
    loader: Loader,
    place: Place,
    cases: PathBuf,
    filter: Option<String>,
    /// What serves, if something does.
    live: Option<Live>,
    /// The files that the last build has read, as far as it says so.
    read: BTreeSet<PathBuf>,
}

/// The last good version.
struct Live {
    /// What its place says of it.
    label: String,
    digest: String,
    policy: Option<Vec<u8>>,
}

/// How far a round has come.
enum Tried {
    Good(Arc<Staged>, Arc<Generation>),
    Bad,
    GivenUp,
}

impl Rounds {
    pub(super) fn new(
        asked: Asked,
        project: Project,
        loader: Loader,
        place: Place,
        cases: PathBuf,
        filter: Option<String>,
    ) -> Self {
        let cases = project.dir.join(cases);
        Self { asked, project, loader, place, cases, filter, live: None, read: BTreeSet::new() }
    }

    /// Goes round until somebody ends it.
    ///
    /// # Errors
    /// When the sources can't be looked at.
    pub(super) async fn run(&mut self, sources: Sources, shutdown: &Shutdown) -> Result<()> {
        let stop = shutdown.stopping();
        let mut changes = Changes::new(sources);
        let looking = || format!("looking at the files of {}", self.project.dir.display());
        let (looking, mut now) = (looking(), changes.look().await.with_context(looking)?);
        let (mut noticed, mut meanwhile) = (None, Meanwhile::default());
        loop {
            let cancel = stop.child_token();
            // File systems tell times by a clock that is a few milliseconds behind.
            let began = SystemTime::now() - CLOCK_SLACK;
            let mut ended = if now.is_gone {
                let dir = self.project.dir.display().to_string();
                tell!("there is no folder {} any more; it is built when it is there again", escaped(&dir));
                self.tell_what_is_live();
                None
            } else {
                let mut round = std::pin::pin!(self.round(&cancel, noticed));
                tokio::select! {
                    () = &mut round => None,
                    changed = changes.since(&now, Counts::Known) => {
                        cancel.cancel();
                        round.await;
                        Some(changed)
                    }
                }
            };
            if stop.is_cancelled() {
                return Ok(());
            }
            // What was looked at when the round was outdated lacks what its build has read.
            let mut snapshots = vec![&mut now];
            if let Some(Ok((next, _))) = &mut ended {
                snapshots.push(next);
            }
            let read = self.read.clone();
            changes.watch_outside(read, began, &mut snapshots).await.with_context(|| looking.clone())?;
            let is_outdated = ended.is_some();
            let (next, at) = match ended {
                Some(changed) => changed,
                None => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = changes.since(&now, Counts::All) => changed,
                },
            }
            .with_context(|| looking.clone())?;
            if !next.is_gone {
                let changed = now.differences(&next, Counts::All);
                out!("\n{} {}", named(&changed), if is_outdated { "changed meanwhile" } else { "changed" });
                meanwhile.note(is_outdated, &changed);
            }
            (now, noticed) = (next, Some(at));
        }
    }

    /// Ends what the place has begun.
    ///
    /// # Errors
    /// When the node of a local network has ended by itself, why.
    pub(super) async fn close(self) -> Result<()> {
        match self.place {
            Place::Folder(_) => Ok(()),
            #[cfg(feature = "devnet")]
            Place::Network(network) => network.close().await,
        }
    }

    /// One round. What goes wrong is shown, and what was live stays so.
    async fn round(&mut self, cancel: &CancellationToken, noticed: Option<Instant>) {
        let result = match self.build_and_try(cancel).await {
            Ok(Tried::Good(staged, generation)) => self.serve(&staged, &generation, noticed).await,
            Ok(Tried::Bad) => Err(None),
            Ok(Tried::GivenUp) => return,
            Err(error) => Err(Some(error)),
        };
        if let Err(error) = result {
            if let Some(error) = error {
                tell!("error: {error:#}");
            }
            self.tell_what_is_live();
        }
    }

    fn tell_what_is_live(&self) {
        match &self.live {
            Some(live) => out!("{} stays live", live.label),
            None => out!("nothing is live yet"),
        }
    }

    async fn build_and_try(&mut self, cancel: &CancellationToken) -> Result<Tried> {
        let began = Instant::now();
        self.look_at_the_project().await?;
        let (project, hint) = (&self.project, |started| {
            if let Some(hint) = self.project.hint(started) {
                tell!("{}", escaped(&hint));
            }
        });
        let said = match build(project, cancel).await? {
            Built::Succeeded(said) => said,
            Built::Cancelled => return Ok(Tried::GivenUp),
            Built::Failed(status) => {
                tell!("the build failed ({status})");
                hint(true);
                return Ok(Tried::Bad);
            }
            Built::NoProgram => {
                let program = project.build.program.to_string_lossy();
                tell!("the build did not start: there is no program {}", one_line(&program, SHOWN_BYTES));
                hint(false);
                return Ok(Tried::Bad);
            }
        };
        out!("built in {}", seconds(began.elapsed()));
        if let Some(component) = said.clone() {
            self.read =
                spawn_blocking(move || files_of(&component)).await.context("looking at what was read")?;
        }
        // Given up wherever it is: dropping it ends the compiler and the runs.
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(Tried::GivenUp),
            tried = self.try_out(said) => tried,
        }
    }

    /// How it is built may have changed, and tools may have come.
    async fn look_at_the_project(&mut self) -> Result<()> {
        let asked = self.asked.clone();
        let project = spawn_blocking(move || asked.find()).await.context("looking at the project")??;
        if project.build.shown != self.project.build.shown {
            out!("it is built by `{}` from now on", escaped(&project.build.shown));
        }
        self.project = project;
        Ok(())
    }

    /// Loads what was built, and runs the cases.
    async fn try_out(&self, said: Option<PathBuf>) -> Result<Tried> {
        let component = self.project.component(said)?;
        let policies = self.place.policies(&self.project.dir).to_owned();
        let staged =
            spawn_blocking(move || Staged::copy(&component, &policies)).await.context("copying")??;
        let generation = Arc::new(load_by(&self.loader, &staged.component).await?);
        let Some(folders) = self.find_cases().await? else { return Ok(Tried::Bad) };
        if !folders.is_empty() {
            let out = tempfile::tempdir().context("creating a folder for the artifacts")?;
            let how = HowToRun { jobs: 1, update: false };
            let ended = run_all(&generation, &folders, out.path(), how).await?;
            if sum_up(&generation.name, &ended) > 0 {
                return Ok(Tried::Bad);
            }
        }
        Ok(Tried::Good(Arc::new(staged), generation))
    }

    /// The folders of the cases. A project need not have any; none if there are some, and the filter matches none of them: then
    /// nobody knows whether the version is good.
    async fn find_cases(&self) -> Result<Option<Vec<PathBuf>>> {
        let (cases, filter) = (self.cases.clone(), self.filter.clone());
        let find = move || -> Result<(Vec<PathBuf>, usize)> {
            if !cases.exists() {
                return Ok((Vec::new(), 0));
            }
            let mut folders = case::find(&cases)?;
            let all = folders.len();
            folders
                .retain(|folder| filter.as_ref().is_none_or(|filter| case::name_of(folder).contains(filter)));
            Ok((folders, all))
        };
        let (found, all) = spawn_blocking(find).await.context("looking for cases")??;
        let place = self.cases.display().to_string();
        let place = escaped(&place);
        match (found.is_empty(), all) {
            (true, 0) => tell!("no case is run: there is none in {place}"),
            (true, _) => {
                tell!("no version goes live: --filter matches none of the {all} cases in {place}");
                return Ok(None);
            }
            _ => {}
        }
        Ok(Some(found))
    }

    async fn serve(
        &mut self,
        staged: &Arc<Staged>,
        generation: &Generation,
        noticed: Option<Instant>,
    ) -> Result<(), Option<anyhow::Error>> {
        let digest = &generation.digest;
        if let Some(live) =
            self.live.as_ref().filter(|live| live.digest == *digest && live.policy == staged.policy)
        {
            out!("the same component as before: {} stays live", live.label);
            return Ok(());
        }
        let label = self.place.take(staged, digest).await.map_err(Some)?;
        let after = noticed.map(|at| format!(", {} after the change was noticed", seconds(at.elapsed())));
        out!("live: {label}{}", after.unwrap_or_default());
        if self.live.is_none()
            && let Some(capability) = generation.description.capabilities.first()
            && !matches!(self.place, Place::Folder(_))
        {
            out!(
                "  posemesh-node job submit --capability {} --input FILE --out results",
                escaped(capability)
            );
        }
        self.live = Some(Live { label, digest: digest.clone(), policy: staged.policy.clone() });
        Ok(())
    }
}

/// Which files have made rounds outdated, round after round.
#[derive(Default)]
struct Meanwhile {
    file: Option<PathBuf>,
    times: u32,
}

impl Meanwhile {
    /// A file that changes in each round is most likely written by the build.
    fn note(&mut self, is_outdated: bool, changed: &[PathBuf]) {
        let same = self.file.as_ref().filter(|file| changed.contains(file));
        self.times = match (is_outdated, same) {
            (true, Some(_)) => self.times + 1,
            _ => u32::from(is_outdated),
        };
        if self.times < 2 {
            self.file = changed.first().filter(|_| is_outdated).cloned();
        }
        if self.times == SUSPICIOUS
            && let Some(file) = &self.file
        {
            let file = file.display().to_string();
            tell!(
                "{} has changed during {SUSPICIOUS} rounds in a row; if the build writes it, leave it out: --ignore '{}'",
                escaped(&file),
                escaped(&file)
            );
        }
    }
}

/// The names of some files.
fn named(files: &[PathBuf]) -> String {
    let names: Vec<String> =
        files.iter().take(NAMED).map(|file| one_line(file.display(), SHOWN_BYTES)).collect();
    match files.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", names.join(", ")),
        None => names.join(", "),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
