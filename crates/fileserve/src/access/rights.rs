//! Decides which right a user has on a path: the rule of the longest prefix that has one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::path::RelPath;

/// What somebody may do with a path. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Nothing.
    None,
    /// GET and HEAD.
    Read,
    /// PUT, POST and DELETE as well.
    Write,
}

/// What holds where no rule does: whoever is known may do everything, and nobody else anything, so
/// that a file of users alone means: log in first.
const UNRULED: Pair = Pair { anyone: Right::None, user: Right::Write };

/// Whom a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    /// Whoever asks, known or not.
    Anyone,
    /// The user at this place.
    User(usize),
}

/// Rules for paths.
///
/// Some directories fold case, and nothing here knows which. So the rules are kept twice, as they
/// are written and with ASCII letters in lower case, and of the two answers the lower one holds:
/// another way to write a name never leads around a rule. (Names that differ only in the case of
/// other letters are different names here.)
pub(super) struct Rights {
    written: Tree,
    folded: Tree,
    count: usize,
}

/// Rules by the segments of their paths. Looking one up takes a step for each segment as long as
/// there are rules beneath, so that a long path costs no more than its length.
struct Tree {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    children: BTreeMap<Box<[u8]>, usize>,
    rules: BTreeMap<Who, Right>,
}

/// What holds for those who are not known, and for one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    anyone: Right,
    user: Right,
}

impl Rights {
    /// No rule yet.
    pub(super) fn new() -> Rights {
        let tree = || Tree { nodes: vec![Node::default()] };
        Rights { written: tree(), folded: tree(), count: 0 }
    }

    /// Adds a rule; whether there has been one for just this is for the caller to know.
    pub(super) fn add(&mut self, path: &RelPath, who: Who, right: Right) {
        self.written.add(path.segments(), who, right);
        let segments: Vec<_> = path.segments().map(fold).collect();
        self.folded.add(segments.iter().map(|segment| &**segment), who, right);
        self.count += 1;
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The right of somebody on a path. A user may do whatever anyone may: nobody would be kept
    /// from it who is asked for a name.
    pub(super) fn of(&self, who: Who, path: &RelPath) -> Right {
        let pair = self.ruled(who, path);
        pair.anyone.max(pair.user)
    }

    /// What anyone has on a path, if by the rules somebody would have less, which is in vain.
    pub(super) fn in_vain(&self, who: Who, path: &RelPath) -> Option<Right> {
        let pair = self.ruled(who, path);
        (pair.user < pair.anyone).then_some(pair.anyone)
    }

    /// Whether a rule is for this very path, whatever the case of its letters.
    pub(super) fn has_rule_at(&self, path: &RelPath) -> bool {
        self.folded.has_rule_at(path.segments().map(fold))
    }

    /// The least that anyone has on any path.
    pub(super) fn everywhere(&self) -> Right {
        let rules = self.written.nodes.iter().filter_map(|node| node.rules.get(&Who::Anyone));
        let at_root = self.ruled(Who::Anyone, &RelPath::root()).anyone;
        rules.copied().fold(at_root, Right::min)
    }

    fn ruled(&self, who: Who, path: &RelPath) -> Pair {
        let written = self.written.ruled(who, path.segments().map(Cow::Borrowed));
        let folded = self.folded.ruled(who, path.segments().map(fold));
        Pair { anyone: written.anyone.min(folded.anyone), user: written.user.min(folded.user) }
    }
}

impl Tree {
    /// Of two rules for the same, which only folding can bring together, the lower one stays.
    fn add<'a>(&mut self, segments: impl Iterator<Item = &'a [u8]>, who: Who, right: Right) {
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len();
            at = *self.nodes[at].children.entry(segment.into()).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        let rule = self.nodes[at].rules.entry(who).or_insert(right);
        *rule = right.min(*rule);
    }

    fn has_rule_at<'a>(&self, segments: impl Iterator<Item = Cow<'a, [u8]>>) -> bool {
        let mut node = self.nodes.first();
        for segment in segments {
            let next = node.and_then(|node| node.children.get(&*segment));
            node = next.and_then(|&next| self.nodes.get(next));
        }
        node.is_some_and(|node| !node.rules.is_empty())
    }

    /// What the rules of the longest prefix say. For those who are not known, that is one with a
    /// rule for anyone; for a user, one with a rule for either, of which their own counts.
    fn ruled<'a>(&self, who: Who, segments: impl Iterator<Item = Cow<'a, [u8]>>) -> Pair {
        let mut found = UNRULED;
        let mut node = self.nodes.first();
        let mut segments = segments;
        while let Some(Node { children, rules }) = node {
            let (anyone, user) = (rules.get(&Who::Anyone), rules.get(&who));
            found.anyone = anyone.copied().unwrap_or(found.anyone);
            found.user = user.or(anyone).copied().unwrap_or(found.user);
            // Before the segment is looked at, let alone folded.
            if children.is_empty() {
                break;
            }
            let next = segments.next().and_then(|segment| children.get(&*segment));
            node = next.and_then(|&next| self.nodes.get(next));
        }
        match who {
            Who::Anyone => Pair { user: found.anyone, ..found },
            Who::User(_) => found,
        }
    }
}

/// A segment with its ASCII letters in lower case.
fn fold(segment: &[u8]) -> Cow<'_, [u8]> {
    match segment.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(segment.to_ascii_lowercase()),
        false => Cow::Borrowed(segment),
    }
}
