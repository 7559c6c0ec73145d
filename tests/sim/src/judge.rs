//! Judges an answer: what a client that asked this, from then to then, may be told.

use std::io::Read;

use conformance::response::Response;
use fileserve::faults::Call;
use flate2::read::GzDecoder;

use crate::ask::{Ask, Condition, Range, Spec, Tag, Want};
use crate::disk::{Disk, MANY, MANY_NAMES, MANY_PREFIX, UPLOADS, VersionId};
use crate::durable::{self, Done};

/// Content up to this length comes from one version of a file, whatever is done to it meanwhile
/// (invariant 10); longer content of a file that is rewritten in place need not.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// A text up to this length is compressed as a whole, and so comes from one version as well.
const GZIP_WHOLE_BYTES_MAX: usize = 1024 * 1024;

/// How many forms one address may send within a minute.
const SUBMISSIONS_MAX: usize = 10;

/// How often a short file must change within one request before its reader may be told to come
/// back.
const BUSY_CHANGES_MIN: usize = 3;

/// How often a name must change hands within one request before its form may be refused.
const CONTESTED_CHANGES_MIN: usize = 2;

/// What an answer is judged by.
pub(crate) struct Case<'c> {
    pub(crate) disk: &'c Disk,
    pub(crate) ask: &'c Ask,
    pub(crate) response: &'c Response,
    /// When its head was made.
    pub(crate) headed: u64,
    /// The client sends no more.
    pub(crate) is_half_closed: bool,
    /// A form whose name is taken may be refused.
    pub(crate) rejects_names: bool,
}

impl Case<'_> {
    /// Whether the answer is right; the tag that it tells, if it is known of what.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn judge(&self) -> Result<Option<Tag>, String> {
        let status = self.response.status;
        let was_whole = self.ask.whole.is_some_and(|at| at <= self.headed);
        if !was_whole {
            match (status, &self.ask.want) {
                (408, _) => return Ok(None),
                (400, _) if self.is_half_closed => return Ok(None),
                (_, Want::Put { .. } | Want::Form { .. } | Want::Submit { .. })
                    if status >= 400 => {}
                (_, Want::Broken(_)) => {}
                _ => return Err(format!("{status} before the request was whole")),
            }
        }
        if let (Want::Form { .. }, 300..) = (&self.ask.want, status) {
            self.judge_undone()?;
        }
        let is_done = (200..400).contains(&status);
        if let (Want::Submit { text, .. }, false) = (&self.ask.want, is_done)
            && self.disk.lines_with(text)? > usize::from(self.ask.faults > 0)
        {
            return Err(format!("{status}, and the form is kept"));
        }
        if self.ask.faults > 0 && matches!(status, 500 | 503 | 507) {
            return Ok(None);
        }
        let told = self.judge_status(status)?;
        if is_done && self.ask.writes() {
            durable::check(&self.ask.calls).map_err(|why| format!("{status} although {why}"))?;
        }
        Ok(told)
    }

    /// Whether this is what is answered to what was asked.
    fn judge_status(&self, status: u16) -> Result<Option<Tag>, String> {
        match &self.ask.want {
            Want::Plain(statuses) | Want::Broken(statuses) => match statuses.contains(&status) {
                true => Ok(None),
                false => Err(format!("{status} instead of {statuses:?}")),
            },
            Want::List { directory } => self.judge_list(directory).map(|()| None),
            Want::Get { file, .. } => self.judge_get(*file),
            Want::Put { file, version, condition } => self.judge_put(*file, *version, condition),
            Want::Delete { file, condition } => self.judge_delete(*file, condition).map(|()| None),
            Want::Form { versions } => self.judge_form(versions).map(|()| None),
            Want::Directory(statuses) => match statuses.contains(&status) {
                true => Ok(None),
                false => Err(format!("{status} instead of {statuses:?}")),
            },
            Want::Submit { file, by_directory, text } => {
                self.judge_submission(*file, *by_directory, text).map(|()| None)
            }
        }
    }

    fn states(&self, file: usize) -> Vec<Option<VersionId>> {
        self.disk.states(file, self.ask.begun, self.headed)
    }

    fn judge_list(&self, directory: &str) -> Result<(), String> {
        if self.response.status != 200 {
            return Err(format!("{} for a directory", self.response.status));
        }
        let page = self.response.text();
        let many = page.matches(&format!("<bdi>{MANY_PREFIX}")).count();
        if directory == MANY && many != MANY_NAMES && self.ask.faults == 0 {
            return Err(format!("{many} names are listed"));
        }
        for (file, tracked) in self.disk.files.iter().enumerate() {
            let name = match directory {
                "" => Some(tracked.name.as_str()).filter(|name| !name.contains('/')),
                _ => tracked.name.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')),
            };
            let Some(name) = name else { continue };
            let is_listed = page.contains(&format!("<bdi>{name}</bdi>"));
            let states = self.states(file);
            let was = states.iter().any(Option::is_some);
            let always = states.iter().all(Option::is_some);
            if is_listed && !was {
                return Err(format!("{name} is listed, and is not there"));
            }
            // Of an entry that cannot be looked at nothing is told.
            if !is_listed && always && self.ask.faults == 0 {
                return Err(format!("{name} is there, and not listed"));
            }
        }
        Ok(())
    }

    fn judge_get(&self, file: usize) -> Result<Option<Tag>, String> {
        let states = self.states(file);
        let fitting: Vec<_> = states.iter().filter(|state| self.fits(file, **state)).collect();
        if fitting.is_empty() {
            let changes = self.disk.changes(file, self.ask.begun, self.headed);
            if self.response.status == 503 && changes >= BUSY_CHANGES_MIN {
                return Ok(None);
            }
            return Err(self.misfit(&states));
        }
        let is_coded = self.response.field("Content-Encoding").is_some();
        let told = matches!(self.response.status, 200 | 206).then(|| self.response.field("ETag"));
        // Of what is sent from the file itself the octets may be later ones than the tag.
        let is_certain = states.len() == 1 || self.response.body.len() <= INLINE_BYTES_MAX;
        match (&fitting[..], told.flatten()) {
            ([Some(version)], Some(text)) if is_certain && !is_coded => {
                Ok(Some(Tag { file, text, version: *version }))
            }
            _ => Ok(None),
        }
    }

    fn misfit(&self, states: &[Option<VersionId>]) -> String {
        let response = self.response;
        let there: Vec<_> = states
            .iter()
            .map(|state| match state {
                Some(version) => {
                    format!("v{version} of {} octets", self.disk.content(*version).len())
                }
                None => "none".to_owned(),
            })
            .collect();
        let start = response.body[..response.body.len().min(64)].escape_ascii();
        let part = response.field("Content-Range").unwrap_or_default();
        format!(
            "{} with {} octets ({part}) of \"{start}\", while there was: {}",
            response.status,
            response.body.len(),
            there.join(", then ")
        )
    }

    /// Whether the answer is that of a file in this state.
    fn fits(&self, file: usize, state: Option<VersionId>) -> bool {
        let Want::Get { by_directory, condition, range, .. } = &self.ask.want else { return false };
        let status = self.response.status;
        let Some(version) = state else {
            // A directory without an index is a list, which has no version.
            return match by_directory {
                true => status == 200 || !matches!(condition, Condition::None),
                false => status == 404,
            };
        };
        match condition {
            Condition::Match(tag) if tag.is_weak() || tag.version != version => status == 412,
            Condition::NoneMatchAny => status == 304,
            // A tag told just after a change is good for nothing.
            Condition::NoneMatch(tag) if tag.version == version && tag.is_weak() => {
                status == 304 || self.has_content(file, version, range.as_ref())
            }
            Condition::NoneMatch(tag) if tag.version == version => status == 304,
            _ => self.has_content(file, version, range.as_ref()),
        }
    }

    fn has_content(&self, file: usize, version: VersionId, range: Option<&Range>) -> bool {
        let what = (file, version);
        let content = self.disk.content(version);
        let length = content.len() as u64;
        let response = self.response;
        if response.field("Content-Encoding").is_some() {
            return self.ask.takes_gzip && response.status == 200 && self.is_packed(what);
        }
        if self.ask.is_head {
            let said = response.field("Content-Length");
            return response.status == 200 && said == Some(length.to_string());
        }
        let is_heeded = |range: &&Range| match &range.condition {
            Some(tag) => tag.version == version && !tag.is_weak(),
            None => true,
        };
        let Some(range) = range.filter(is_heeded) else {
            return response.status == 200 && self.is_part(what, 0, &response.body, content.len());
        };
        let parts: Vec<_> = range.specs.iter().filter_map(|spec| spec.within(length)).collect();
        let is_suffix = |spec: &Spec| matches!(spec, Spec::Suffix(1..));
        match &parts[..] {
            [] if length == 0 && range.specs.iter().any(is_suffix) => {
                response.status == 200 && response.body.is_empty()
            }
            [] => {
                let unsatisfied = response.field("Content-Range");
                response.status == 416 && unsatisfied == Some(format!("bytes */{length}"))
            }
            [(first, last)] => {
                let said = response.field("Content-Range");
                response.status == 206
                    && said == Some(format!("bytes {first}-{last}/{length}"))
                    && self.is_part(what, *first, &response.body, (last - first + 1) as usize)
            }
            parts => response.status == 206 && self.are_parts(what, parts, length),
        }
    }

    /// Whether the answer is a version of a file, compressed.
    fn is_packed(&self, what: (usize, VersionId)) -> bool {
        let length = self.disk.content(what.1).len();
        let mut plain = Vec::with_capacity(length);
        let unpacked = GzDecoder::new(&self.response.body[..]).read_to_end(&mut plain);
        let is_coded = self.response.field("Content-Encoding").as_deref() == Some("gzip");
        let is_whole = unpacked.is_ok() && plain.len() == length;
        is_coded
            && (self.ask.is_head
                || is_whole && self.holds(what, 0, &plain, length > GZIP_WHOLE_BYTES_MAX))
    }

    /// A multipart/byteranges content (RFC 9110 §14.6), octet by octet.
    fn are_parts(&self, what: (usize, VersionId), parts: &[(u64, u64)], length: u64) -> bool {
        let media_type = self.response.field("Content-Type").unwrap_or_default();
        let Some((_, boundary)) = media_type.split_once("boundary=") else { return false };
        let mut rest = &self.response.body[..];
        for (index, (first, last)) in parts.iter().enumerate() {
            let Some(end) = rest.windows(4).position(|octets| octets == b"\r\n\r\n") else {
                return false;
            };
            let (head, behind) = rest.split_at(end + 4);
            let count = (last - first + 1) as usize;
            let line_end = if index == 0 { "" } else { "\r\n" };
            let start = format!("{line_end}--{boundary}\r\nContent-Type: ");
            let end = format!("\r\nContent-Range: bytes {first}-{last}/{length}\r\n\r\n");
            let is_good = head.starts_with(start.as_bytes())
                && head.ends_with(end.as_bytes())
                && behind.len() >= count
                && self.holds(what, *first, &behind[..count], true);
            if !is_good {
                return false;
            }
            rest = &behind[count..];
        }
        rest == format!("\r\n--{boundary}--\r\n").as_bytes()
    }

    fn is_part(&self, what: (usize, VersionId), first: u64, octets: &[u8], count: usize) -> bool {
        octets.len() == count && self.holds(what, first, octets, count > INLINE_BYTES_MAX)
    }

    /// Whether a version of a file holds these octets there, or, where they are `sent` from the
    /// file itself and that was changed in place, each in some version.
    fn holds(&self, what: (usize, VersionId), first: u64, octets: &[u8], sent: bool) -> bool {
        let ((file, version), first) = (what, first as usize);
        let part = |version: VersionId| {
            let content = self.disk.content(version);
            content.get(first..(first + octets.len()).min(content.len())).unwrap_or_default()
        };
        if part(version) == octets {
            return true;
        }
        let (begun, now) = (self.ask.begun, self.disk.event);
        if !sent || !self.disk.is_changed_in_place(file, begun, now) {
            return false;
        }
        let parts: Vec<_> =
            self.disk.states(file, begun, now).into_iter().flatten().map(part).collect();
        octets.iter().enumerate().all(|(at, octet)| parts.iter().any(|p| p.get(at) == Some(octet)))
    }

    fn judge_put(
        &self,
        file: usize,
        version: VersionId,
        condition: &Condition,
    ) -> Result<Option<Tag>, String> {
        let done = self.ask.effects.iter().find(|effect| effect.at <= self.headed);
        let status = self.response.status;
        match (status, done) {
            (201 | 204, Some(effect)) => {
                let before = self.disk.states(file, effect.from, effect.at - 1);
                if !before.iter().any(|state| condition.holds(*state)) {
                    return Err(format!("{status} although the condition did not hold"));
                }
                if !before.iter().any(|state| state.is_some() == (status == 204)) {
                    return Err(format!("{status} with {before:?} before"));
                }
                Ok(self.response.field("ETag").map(|text| Tag { file, text, version }))
            }
            (201 | 204, None) => Err(format!("{status} before the content was there")),
            (_, Some(_)) => Err(format!("{status}, and the content is there")),
            (412, None) => match self.states(file).iter().all(|state| condition.holds(*state)) {
                true => Err("412 although the condition held".to_owned()),
                false => Ok(None),
            },
            // Its directory was not there, or is no more.
            (409, None) if self.disk.files[file].name.starts_with("new/") => Ok(None),
            _ => Err(format!("{status} to an upload")),
        }
    }

    fn judge_delete(&self, file: usize, condition: &Condition) -> Result<(), String> {
        let states = self.states(file);
        let done = self.ask.effects.iter().find(|effect| effect.at <= self.headed);
        let status = self.response.status;
        match (status, done) {
            (200 | 204, Some(effect)) => {
                let before = self.disk.states(file, effect.from, effect.at - 1);
                let held = before.iter().any(|state| state.is_some() && condition.holds(*state));
                let broken = || Err(format!("{status} although the condition did not hold"));
                if held { Ok(()) } else { broken() }
            }
            (200 | 204, None) => Err(format!("{status}, and the file is there")),
            (_, Some(_)) => Err(format!("{status}, and the file is gone")),
            (404, None) if states.contains(&None) => Ok(()),
            (412, None) if !states.iter().all(|state| condition.holds(*state)) => Ok(()),
            _ => Err(format!("{status} to a DELETE, with {states:?}")),
        }
    }

    fn judge_submission(&self, file: usize, by_directory: bool, text: &str) -> Result<(), String> {
        let is_gone = || self.states(file).contains(&None);
        match self.response.status {
            200 => match self.disk.lines_with(text)? {
                1 => Ok(()),
                count => Err(format!("200, and the form is kept {count} times")),
            },
            404 if !by_directory && is_gone() => Ok(()),
            405 if by_directory && is_gone() => Ok(()),
            429 if self.disk.submissions > SUBMISSIONS_MAX => Ok(()),
            status => Err(format!("{status} to a form for a page")),
        }
    }

    /// Of a form that is refused nothing stays, unless what should have taken it back has failed,
    /// too.
    fn judge_undone(&self) -> Result<(), String> {
        let failed =
            |call| self.ask.calls.iter().any(|done: &Done| done.call == call && !done.is_good);
        if failed(Call::Remove) || failed(Call::Name) && self.ask.faults > 1 {
            return Ok(());
        }
        for effect in &self.ask.effects {
            let now = self.disk.states(effect.file, self.headed, self.headed);
            if self.disk.is_one_of(&now, self.ask.planned()) {
                let name = &self.disk.files[effect.file].name;
                return Err(format!("{}, and {name} is there", self.response.status));
            }
        }
        Ok(())
    }

    /// Whether a name came and went while a form was stored, so that it was neither free nor taken.
    fn is_contested(&self) -> bool {
        let changes = |file| self.disk.changes(file, self.ask.begun, self.headed);
        (0..self.disk.files.len()).any(|file| changes(file) >= CONTESTED_CHANGES_MIN)
    }

    fn judge_form(&self, versions: &[VersionId]) -> Result<(), String> {
        let effects = &self.ask.effects;
        let is_stored = |version: &VersionId| {
            let content = self.disk.content(*version);
            let done = effects.iter().filter(|effect| effect.at <= self.headed);
            done.filter_map(|effect| effect.state).any(|state| self.disk.content(state) == content)
        };
        // Of two files of one name only the second is left, where names are replaced.
        let last = versions.last().is_some_and(is_stored);
        match self.response.status {
            201 if last => Ok(()),
            201 => Err("201, and the files are not there".to_owned()),
            409 if self.rejects_names || self.is_contested() => Ok(()),
            status => Err(format!("{status} to a form for {UPLOADS}")),
        }
    }
}

impl Condition {
    /// Whether a write to a file in this state goes ahead.
    fn holds(&self, state: Option<VersionId>) -> bool {
        match self {
            Condition::None => true,
            Condition::Match(tag) => !tag.is_weak() && state == Some(tag.version),
            Condition::MatchAny => state.is_some(),
            Condition::NoneMatch(tag) => state != Some(tag.version),
            Condition::NoneMatchAny => state.is_none(),
        }
    }
}

impl Spec {
    /// First and last octet of a file of so many.
    fn within(self, length: u64) -> Option<(u64, u64)> {
        match self {
            Spec::Suffix(0) => None,
            Spec::Suffix(count) => (length > 0).then(|| (length.saturating_sub(count), length - 1)),
            Spec::FromTo(first, last) => (first < length)
                .then(|| (first, last.map_or(length - 1, |last| last.min(length - 1)))),
        }
    }
}
