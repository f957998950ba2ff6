//! What the catalog does about a change that is staged: each step of its way is a revision, like any other change.

use std::sync::Arc;

use proto::v1 as pb;

use super::staged::{self, End, Staged};
use super::{Catalog, Error, Options, Outcome, State, load};
use crate::store::Store;
use crate::store::seal::Sealer;

impl Catalog {
    /// The next share of the nodes gets the change that is staged, if that stands as `seen`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(crate) async fn next_share(
        &self,
        seen: &pb::StagedRolloutSpec,
        edges_below: u64,
        sidecars_below: u64,
    ) -> Result<Outcome, Error> {
        let at = seen.begun as usize;
        let share = seen.shares.get(at).copied().unwrap_or(100);
        let author = format!("rollout of {}: {share}% of the nodes", seen.revision);
        self.change(&author, Options::default(), |state| {
            let stands = staged::running(state).filter(|spec| *spec == seen);
            let next = stands.map(|spec| staged::next(spec, edges_below, sidecars_below));
            Ok(next.into_iter().collect())
        })
        .await
    }

    /// The change that is staged comes to all nodes, or is taken back. `revision`: the one that is meant; 0: whichever.
    ///
    /// # Errors
    /// [`Error::NotStaged`]; else as [`Self::apply`].
    pub(crate) async fn end_staged(
        &self,
        author: &str,
        revision: u64,
        how: End,
        why: &str,
    ) -> Result<Outcome, Error> {
        self.change(author, Options::default(), |state| {
            let Some(spec) = staged::running(state) else {
                return Err(Error::NotStaged("no change is being rolled out in stages".to_owned()));
            };
            if revision != 0 && spec.revision != revision {
                let (is, not) = (spec.revision, revision);
                return Err(Error::NotStaged(format!("revision {is} is being rolled out, not {not}")));
            }
            match (state.staged(), &how) {
                (Some(staged), _) => Ok(staged.end(state, &how, why)),
                (None, End::Promote) => Ok(vec![staged::ended(spec, &how, why)]),
                (None, End::Halt) => Err(Error::NotStaged(format!(
                    "history does not hold revision {} any more, to which it would go back: gatehouse rollback, or \
                     gatehouse rollout promote",
                    spec.base
                ))),
            }
        })
        .await
    }
}

/// The change that not all nodes have by `state`, with what was before it: as the state `known` has it, or from
/// history.
pub(super) async fn staged_of(
    store: &dyn Store,
    sealer: &Sealer,
    state: &State,
    known: Option<&Arc<State>>,
) -> Option<Arc<Staged>> {
    let spec = staged::running(state)?;
    let before = known.and_then(|known| match known.staged() {
        Some(staged) if staged.spec.revision == spec.revision => Some(staged.base.clone()),
        _ => Some(known.clone()).filter(|known| known.revision() == spec.base),
    });
    let base = match before {
        Some(base) => base,
        None => match load::at(store, sealer, state.head(), spec.base).await {
            Ok(base) => Arc::new(base),
            Err(error) => {
                let (revision, base) = (spec.revision, spec.base);
                tracing::error!(
                    revision, base, %error,
                    "what was before the change that is staged is not known: nodes get nothing new until it is ended"
                );
                return None;
            }
        },
    };
    Staged::new(spec, base, state).map(Arc::new)
}
