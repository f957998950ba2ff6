//! The catalog: all configuration, in memory, and the one way in which it changes.
//!
//! ```text
//! apply -> draft   convert, merge, compile, check references: every fault at once   (pure)
//!       -> stage   immutable chunks that nobody reads yet                            (store)
//!       -> flip    head: revision n -> n + 1, where it is still n                    (store)
//!       -> install the new state, for whoever watches: publish, Watch, Rollout
//!
//! somebody else flipped -> the store's bell -> read the logs since -> install
//!                       -> the store holds another history: it went back (see `standing`)
//! ```
//!
//! It does not know gRPC, nor who is connected. Who may change what is decided before it is called. Start
//! from [`Catalog::apply`]; a state is a [`State`].

mod diff;
mod draft;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod keep;
mod load;
mod log;
mod stage;
mod staged;
mod standing;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::snapshot::ResourceKey;
use proto::v1 as pb;
use runtime::drain::Drain;
use tokio::sync::watch;

pub(crate) use draft::Edit;
pub(crate) use draft::wire_key;
pub(crate) use error::{Error, Fault};
pub(crate) use history::{Asked, Page};
pub(crate) use keep::Bounds;
pub(crate) use staged::{End, STAGED, Staged};
pub(crate) use staged::{halted as halted_staged, last as last_staged, running as running_staged};
pub(crate) use standing::{Standing, WentBack, must_not_be_empty};
pub(crate) use state::{State, Stored, is_internal};

use crate::clock;
use crate::store::seal::Sealer;
use crate::store::{self, Entry, Flip, Head, Store, key};
use runtime::backoff::Backoff;

/// Most resources in one change.
pub(crate) const EDITS_MAX: usize = 10_000;
/// Most bytes of one encoded resource.
pub(crate) const RESOURCE_BYTES_MAX: usize = 256 * 1024;
/// Most resources in all.
pub(crate) const RESOURCES_MAX: usize = 200_000;
/// How often the head is read without having been told of a change.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How often a change is drafted anew because another replica was faster.
const TRIES_MAX: usize = 20;
/// First and longest pause after a lost flip, and after a store that is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(2));

/// How a change is to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Only where the head is this revision. 0: whatever it is.
    pub if_revision: u64,
    /// Check only.
    pub dry_run: bool,
    /// The revision that is brought back by it. 0: it is no rollback.
    pub rolls_back_to: u64,
    /// Which shares of the nodes get it first. `None`: all get it at once.
    pub stages: Option<pb::Stages>,
}

impl Options {
    /// As somebody asked for.
    pub(crate) fn asked(dry_run: bool, if_revision: u64) -> Self {
        Self {
            if_revision,
            dry_run,
            ..Self::default()
        }
    }
}

/// What a change did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The head revision afterwards; where nothing differed or nothing was to be stored, the one before.
    pub revision: u64,
    /// One for each edit, in their order.
    pub changes: Vec<pb::Change>,
    /// What works but may not be meant.
    pub warnings: Vec<pb::Warning>,
}

/// What is to become a revision.
struct Change<'a> {
    author: &'a str,
    /// The head that it is made on.
    parent: Option<&'a Head>,
    ops: &'a [log::Op],
    restored: bool,
    rolled_back_to: Option<u64>,
}

/// All configuration, and its changes.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    /// The newest state that this replica has seen. Sent by [`Self::install`] only; received by publish and
    /// by the admin API's streams.
    state: watch::Sender<Arc<State>>,
    /// One change or catching-up at a time in this process, so that they do not race each other for the
    /// head; other replicas are kept apart by the flip. An async lock, as it is held over calls to the store,
    /// each of which ends within its own time-out.
    turn: tokio::sync::Mutex<()>,
    /// Whether the store goes on from what was run, and the highest revision that was. Changed while
    /// [`Self::turn`] is held.
    standing: standing::Keeper,
    /// How much history is kept.
    bounds: Bounds,
}

impl Catalog {
    /// Loads what the store holds. `data_dir` remembers the highest revision that was run here; `bounds` say how much
    /// history is kept.
    ///
    /// # Errors
    /// [`Error::Store`] where the store is away or holds something else than was written; [`Error::Seal`]
    /// where the master key is not the one that its secrets were sealed under.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        data_dir: &Path,
        bounds: Bounds,
    ) -> Result<Arc<Self>, Error> {
        let mut loaded = load::load(&*store, &sealer).await?;
        let staged = stage::staged_of(&*store, &sealer, &loaded, None).await;
        loaded.set_staged(staged);
        let standing = standing::Keeper::open(data_dir, &*store, &loaded).await?;
        let state = watch::Sender::new(Arc::new(loaded));
        Ok(Arc::new(Self {
            store,
            sealer,
            state,
            turn: tokio::sync::Mutex::new(()),
            standing,
            bounds,
        }))
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The newest state, and every one after it; whoever is slow misses those between.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Which backend it stands on.
    pub(crate) fn store_kind(&self) -> &'static str {
        self.store.kind()
    }

    /// Stores resources as one revision, or none of them.
    ///
    /// # Errors
    /// [`Error::Refused`] with all faults; [`Error::Conflict`]; and what the store may say.
    pub(crate) async fn apply(
        &self,
        author: &str,
        resources: Vec<pb::Resource>,
        options: Options,
    ) -> Result<Outcome, Error> {
        draft::refuse_internal(&resources)?;
        draft::refuse_many(resources.len())?;
        let stages = options.stages.clone();
        self.change(author, options, |state| {
            let mut edits: Vec<Edit> = resources.iter().cloned().map(Edit::put).collect();
            staged::must_be_free(state, &edits)?;
            if let Some(asked) = &stages {
                edits.push(staged::begin(state, author, asked)?);
            }
            Ok(edits)
        })
        .await
    }

    /// The state as it is, and as it would be with these resources stored.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(crate) async fn try_out(
        &self,
        resources: Vec<pb::Resource>,
    ) -> Result<(Arc<State>, State), Error> {
        draft::refuse_internal(&resources)?;
        draft::refuse_many(resources.len())?;
        self.newest_head().await?;
        let state = self.state();
        let edits = resources.into_iter().map(Edit::put).collect();
        let draft = self.draft(state.clone(), edits).await?;
        Ok((state, draft.next))
    }

    /// Deletes resources as one revision, or none of them.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the first that is not there; else as [`Self::apply`].
    pub(crate) async fn delete(
        &self,
        author: &str,
        keys: Vec<ResourceKey>,
        options: Options,
    ) -> Result<Outcome, Error> {
        draft::refuse_many(keys.len())?;
        self.change(author, options, |state| {
            let edits: Vec<Edit> = keys.iter().cloned().map(Edit::Delete).collect();
            staged::must_be_free(state, &edits)?;
            Ok(edits)
        })
        .await
    }

    /// Brings back what `revision` held, as a new revision; all but what the control plane made for itself, such as API
    /// keys: a key that was revoked stays so.
    ///
    /// # Errors
    /// [`Error::NotKept`] where the history does not reach back to it; else as [`Self::apply`].
    pub(crate) async fn rollback(
        &self,
        author: &str,
        revision: u64,
        options: Options,
    ) -> Result<Outcome, Error> {
        let head = self.newest_head().await?;
        let was = load::at(&*self.store, &self.sealer, head.as_ref(), revision).await?;
        if let Some(key) = was.unreadable() {
            return Err(Error::TooOld(key.clone()));
        }
        let options = Options {
            rolls_back_to: revision,
            ..options
        };
        self.change(author, options, |now| {
            let mut edits = history::way_back(now, &was);
            if let Some(spec) = staged::running(now) {
                let why = format!("rolled back to revision {revision} by {author}");
                edits.push(staged::ended(spec, &End::Halt, &why));
            }
            Ok(edits)
        })
        .await
    }

    /// What revisions did, newest first.
    ///
    /// # Errors
    /// What the store may say.
    pub(crate) async fn history(&self, asked: &Asked) -> Result<Page, Error> {
        let head = self.newest_head().await?;
        history::page(&*self.store, &self.sealer, head.as_ref(), asked).await
    }

    /// The head, once what other replicas did is known.
    async fn newest_head(&self) -> Result<Option<Head>, Error> {
        let _turn = self.turn.lock().await;
        self.catch_up().await?;
        Ok(self.state().head().cloned())
    }

    /// Makes the change that `plan` wants for the state as it is, and plans anew where another replica was
    /// faster. No edit that differs: no new revision.
    ///
    /// # Errors
    /// What `plan` says; else as [`Self::apply`].
    pub(crate) async fn change(
        &self,
        author: &str,
        options: Options,
        plan: impl Fn(&State) -> Result<Vec<Edit>, Error>,
    ) -> Result<Outcome, Error> {
        let _turn = self.turn.lock().await;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        for _ in 0..TRIES_MAX {
            self.catch_up().await?;
            if let Standing::WentBack(back) = self.standing() {
                return Err(Error::WentBack(back));
            }
            let state = self.state();
            if options.if_revision != 0 && options.if_revision != state.revision() {
                let (expected, head) = (options.if_revision, state.revision());
                return Err(Error::Conflict { expected, head });
            }
            let mut draft = self.draft(state.clone(), plan(&state)?).await?;
            if options.stages.is_some() {
                // That it is staged is no change by itself.
                draft.changes.pop();
            }
            let is_nothing = draft
                .changes
                .iter()
                .all(|change| change.action == "unchanged");
            let outcome = Outcome {
                revision: state.revision(),
                changes: draft.changes,
                warnings: draft.warnings,
            };
            if is_nothing || options.dry_run {
                return Ok(outcome);
            }
            let change = Change {
                author,
                parent: state.head(),
                ops: &draft.ops,
                restored: false,
                rolled_back_to: Some(options.rolls_back_to).filter(|r| *r != 0),
            };
            if let Some(state) = self.commit(change, draft.next).await? {
                let revision = state.revision();
                tracing::info!(revision, changed = draft.ops.len(), author, "new revision");
                self.install(state).await;
                return Ok(Outcome {
                    revision,
                    ..outcome
                });
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        Err(Error::Busy)
    }

    /// Drafts on a thread of its own: over a large catalog it takes long enough to be felt by every stream.
    async fn draft(&self, state: Arc<State>, edits: Vec<Edit>) -> Result<draft::Draft, Error> {
        let sealer = self.sealer.clone();
        let work = move || {
            let now = clock::now_text();
            let beside = state
                .staged()
                .filter(|_| !edits.iter().any(Edit::is_of_rollout));
            let beside = beside.map(|staged| (staged, staged.beside(&edits)));
            let draft = draft::draft(&state, edits, &now, &sealer)?;
            // What works with the change that is staged has to work without it, too.
            if let Some((staged, edits)) = beside {
                let tried = draft::draft(&staged.before, edits, &now, &sealer);
                tried.map_err(|error| staged.elsewhere(error))?;
            }
            Ok(draft)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|e| Err(store::Error::Failed(e.to_string()).into()))
    }

    /// Stages and flips. `None`: another replica was faster.
    async fn commit(&self, change: Change<'_>, mut next: State) -> Result<Option<State>, Error> {
        // Version 7: sorted by time, so that what is left over tells its age.
        let id = uuid::Uuid::now_v7().simple().to_string();
        let chunks = log::chunks(change.ops);
        let manifest = log::Manifest {
            revision: next.revision(),
            change: id.clone(),
            chunks: chunks.len(),
            sha256: next.sha256().hex(),
            author: change.author.to_owned(),
            time: clock::now_text(),
            parent: change.parent.map(log::Parent::from),
            restored: change.restored,
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            rolled_back_to: change.rolled_back_to,
        };
        let staged = chunks
            .into_iter()
            .enumerate()
            .map(|(n, chunk)| Entry::new(key::change_chunk(&id, n), chunk))
            .collect();
        self.store.stage(staged).await?;
        let head = Head::new(next.revision(), next.sha256(), &id);
        let also = vec![Entry::new(key::log(next.revision()), manifest.encode())];
        match self.store.flip(change.parent, &head, also).await? {
            Flip::Lost => Ok(None),
            Flip::Flipped => {
                next.set_head(head);
                Ok(Some(next))
            }
        }
    }

    /// Reads what other replicas did. Held by [`Self::turn`].
    async fn catch_up(&self) -> Result<(), Error> {
        match load::newer(&*self.store, &self.sealer, &self.state()).await? {
            load::Found::Same => self.standing.holds(self.state().revision()),
            load::Found::Later(state) => {
                tracing::debug!(revision = state.revision(), "caught up with the store");
                self.standing.holds(state.revision());
                self.install(*state).await;
            }
            load::Found::Other(state) => {
                let (ran, holds) = (self.state().revision(), state.revision());
                self.standing.went_back(ran, holds);
            }
        }
        Ok(())
    }

    /// Whether the store goes on from what was run.
    pub(crate) fn standing(&self) -> Standing {
        self.standing.now()
    }

    /// Whether nodes may be given what there is: not where this replica began on a store that had gone back.
    pub(crate) fn may_be_published(&self) -> bool {
        self.standing.may_be_published()
    }

    /// A node says that it runs `revision`. Where the store holds none that is so high, the store went back.
    pub(crate) async fn heard_of(&self, revision: u64) {
        let _turn = self.turn.lock().await;
        // A store that is away says nothing about what it holds.
        if self.catch_up().await.is_ok() {
            self.standing.heard_of(revision, self.state().revision());
        }
    }

    /// An operator agrees to what the store holds: it goes on above the highest revision that any node has run.
    ///
    /// # Errors
    /// [`Error::NothingToAccept`] where the store did not go back, or holds another revision than `holds`.
    pub(crate) async fn accept(&self, author: &str, holds: u64) -> Result<Outcome, Error> {
        let _turn = self.turn.lock().await;
        self.catch_up().await?;
        let Standing::WentBack(back) = self.standing() else {
            let head = self.state().revision();
            return Err(Error::NothingToAccept(format!(
                "the store goes on from what was run, at revision {head}"
            )));
        };
        let there = load::load(&*self.store, &self.sealer).await?;
        if there.revision() != holds {
            return Err(Error::NothingToAccept(format!(
                "the store holds revision {}, not {holds}",
                there.revision()
            )));
        }
        let parent = there.head().cloned();
        let mut next = there;
        next.seal(back.ran.max(holds) + 1);
        let change = Change {
            author,
            parent: parent.as_ref(),
            ops: &[],
            restored: true,
            rolled_back_to: None,
        };
        let state = self.commit(change, next).await?.ok_or(Error::Busy)?;
        let revision = state.revision();
        tracing::warn!(
            revision,
            holds,
            ran = back.ran,
            author,
            "a restored store was accepted"
        );
        self.standing.holds(revision);
        self.install(state).await;
        Ok(Outcome {
            revision,
            changes: Vec::new(),
            warnings: Vec::new(),
        })
    }

    async fn install(&self, mut state: State) {
        let staged =
            stage::staged_of(&*self.store, &self.sealer, &state, Some(&self.state())).await;
        state.set_staged(staged);
        self.standing.remember(&state).await;
        self.state.send_replace(Arc::new(state));
    }

    /// Follows the store, and keeps its history bounded, until `drain` starts.
    pub(crate) async fn follow(self: Arc<Self>, drain: Drain) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.follow_for_ever() => {}
        }
    }

    async fn follow_for_ever(&self) {
        let mut bell = self.store.changes(key::HEAD);
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut away = false;
        loop {
            bell.mark_unchanged();
            match self.follow_once().await {
                Ok(()) => {
                    if std::mem::replace(&mut away, false) {
                        tracing::info!("the store answers again");
                    }
                    backoff.reset();
                    tokio::select! {
                        changed = bell.changed() => if changed.is_err() { return },
                        // An event may be lost, or a watch be deaf: the head itself is asked, too.
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%error, "cannot follow the store; trying again until it answers");
                    }
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn follow_once(&self) -> Result<(), Error> {
        {
            let _turn = self.turn.lock().await;
            self.catch_up().await?;
        }
        keep::keep(&*self.store, &self.sealer, &self.state(), self.bounds).await
    }
}
