//! The fields of a form that a page sends: gathered, bounded, in the order in which they came.

use crate::refusal::Refusal;

/// Names and values together, in octets. More than anybody types; a file is another matter.
pub(crate) const SUBMISSION_BYTES_MAX: usize = 64 * 1024;

/// How many fields there may be.
const FIELDS_MAX: usize = 500;

/// The fields of a form that has been filled in. What is not UTF-8 has become U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Submission {
    fields: Vec<(String, String)>,
    octets: usize,
}

impl Submission {
    /// Reads `application/x-www-form-urlencoded` content, all of it.
    ///
    /// # Errors
    /// `SubmissionTooLarge` beyond its bounds.
    pub(crate) fn from_urlencoded(content: &[u8]) -> Result<Submission, Refusal> {
        let mut submission = Submission::default();
        for (name, value) in form_urlencoded::parse(content) {
            submission.push(name.into_owned(), value.into_owned())?;
        }
        Ok(submission)
    }

    /// Adds a field.
    ///
    /// # Errors
    /// `SubmissionTooLarge` beyond its bounds.
    pub(crate) fn push(&mut self, name: String, value: String) -> Result<(), Refusal> {
        self.octets += name.len() + value.len();
        if self.octets > SUBMISSION_BYTES_MAX || self.fields.len() == FIELDS_MAX {
            return Err(Refusal::SubmissionTooLarge);
        }
        self.fields.push((name, value));
        Ok(())
    }

    /// The first value of the field `name`.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Every field whose name does not start with `_`: those are for the server.
    pub(crate) fn filled_in(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        fields.filter(|(name, _)| !name.starts_with('_'))
    }
}
