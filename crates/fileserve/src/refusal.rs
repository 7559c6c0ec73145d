//! Names every way in which a request for a file is refused, with a status and a word for each.

use http_proto::Status;
use rustix::io::Errno;

/// Why a request for a file is refused. The client learns the [`status`](Refusal::status), the log
/// the [`reason`](Refusal::reason); what the OS said goes to neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A `%` without two hexadecimal digits, or one that stands for NUL, which no name holds.
    #[error("the path holds an invalid percent-escape")]
    BadEscape,
    /// A `/` inside a segment, as `%2F`: no file is named so.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// A path that leads out of the root, by `..` or by a symbolic link.
    #[error("the path leads out of the root")]
    OutsideRoot,
    /// A segment or a path longer than the OS takes.
    #[error("the path is too long")]
    NameTooLong,
    /// A name that starts with a dot, or one of the server's own temporary names.
    #[error("the name is hidden")]
    Hidden,
    /// The server's own access log.
    #[error("the access log is not served")]
    OwnLog,
    /// A directory without an index, where directories are not listed.
    #[error("directories are not listed")]
    NotListed,
    /// A PUT with Content-Range: a part would be taken for the whole (RFC 9110 §14.5).
    #[error("a part of a file cannot be written")]
    PartialContent,
    /// A PUT or POST with Content-Encoding: served under a name that does not say so, it would be
    /// taken for what it is not (RFC 9110 §9.3.4, §15.5.16).
    #[error("coded content cannot be written")]
    CodedContent,
    /// A Content-Digest or Repr-Digest that is none (RFC 9530).
    #[error("the digest field is malformed")]
    BadDigest,
    /// Content that is not what its sender says that it is: it was damaged on the way.
    #[error("the content has another digest")]
    DigestMismatch,
    /// A form that holds no file, where only files are taken.
    #[error("the form holds no file")]
    NothingToStore,
    /// A form for a path that takes none.
    #[error("no form is taken here")]
    NoForm,
    /// A file in a form of which only the fields are kept.
    #[error("no file is taken here")]
    FileInForm,
    /// A form with more files than may be on their way at once.
    #[error("the form holds too many files")]
    TooManyFiles,
    /// More fields, or longer ones, than a form may have.
    #[error("the fields of the form are too long")]
    SubmissionTooLarge,
    /// One address has sent more forms within a minute than anybody fills in.
    #[error("too many forms from one address")]
    TooManyForms,
    /// A PUT of a directory that has content.
    #[error("a directory has no content of its own")]
    DirectoryContent,
    /// A request by a host name that is not this server's, over a loopback address: a page from
    /// elsewhere may have had its own name lead here.
    #[error("the request names another host")]
    ForeignHost,
    /// A write that a browser sends on behalf of another site.
    #[error("another site asks for a write")]
    CrossSite,
    /// A write whose Origin field names another origin.
    #[error("another origin asks for a write")]
    ForeignOrigin,
    /// Nothing has that name.
    #[error("no such file")]
    NotFound,
    /// A name beneath something that is no directory.
    #[error("a file stands where a directory is asked for")]
    NotADirectory,
    /// Symbolic links that go round in circles, a magic link of `/proc`, or, where links are not
    /// followed at all, any link.
    #[error("a symbolic link is not followed")]
    SymlinkLoop,
    /// A FIFO, a socket or a device.
    #[error("neither a file nor a directory")]
    NotRegular,
    /// It takes credentials, and there are none or wrong ones.
    #[error("who asks is not known")]
    Unauthorized,
    /// The user that asks may not.
    #[error("the user has no right to it")]
    NoRight,
    /// Too many wrong passwords came from the address.
    #[error("too many wrong passwords, wait {seconds} s")]
    TooManyFailures {
        /// How long the next one has to wait, at least 1.
        seconds: u32,
    },
    /// The file's mode or a security policy forbids it.
    #[error("permission denied")]
    NotPermitted,
    /// A write to a file system that is mounted read-only.
    #[error("the file system is read-only")]
    ReadOnlyDisk,
    /// A write while the server serves read-only.
    #[error("the server is read-only")]
    ReadOnly,
    /// A known method that this resource does not take.
    #[error("the method is not for this resource")]
    MethodNotAllowed,
    /// A write where a directory stands.
    #[error("a directory stands where a file is to be written")]
    IsDirectory,
    /// A directory that is to go has something in it.
    #[error("the directory is not empty")]
    DirectoryNotEmpty,
    /// Something has the name that is to be made.
    #[error("the name is taken")]
    Exists,
    /// A write deeper than anything is written, or that would make too many directories at once.
    #[error("the path is too deep")]
    TooDeep,
    /// A write beneath a directory that does not exist.
    #[error("the directory to write to does not exist")]
    ParentMissing,
    /// Content longer than the server or the file system takes.
    #[error("the content is too large")]
    ContentTooLarge,
    /// The disk, or the part of it that may be filled, is full.
    #[error("no space left")]
    StorageFull,
    /// The files of the tree take as much as they may.
    #[error("the quota is reached")]
    QuotaReached,
    /// The process or the system has no descriptor left. The file may well exist.
    #[error("out of file descriptors")]
    OutOfDescriptors,
    /// The kernel has no memory left.
    #[error("out of memory")]
    OutOfMemory,
    /// Somebody else holds the file, or its path kept changing while it was looked up; or as many
    /// long lists of directories are being made or sent, or as many passwords hashed, as may be.
    #[error("the file is busy")]
    Busy,
    /// A file that holds less than its length says, time and again, though nothing changes it:
    /// many that the kernel makes up are such, as beneath `/sys`.
    #[error("the file is shorter than it says")]
    ShortRead,
    /// Any other trouble with the disk.
    #[error("disk trouble (os error {errno})")]
    Disk {
        /// The OS's number for it; 0 when it gave none.
        errno: i32,
    },
}

impl Refusal {
    /// What an error of the OS means for a request. This is the one place where that is decided.
    pub fn from_os(errno: Errno) -> Refusal {
        match errno {
            Errno::NOENT => Refusal::NotFound,
            Errno::NOTDIR => Refusal::NotADirectory,
            // openat2 says so for whatever would leave the directory it is bound to.
            Errno::XDEV => Refusal::OutsideRoot,
            Errno::LOOP => Refusal::SymlinkLoop,
            Errno::NAMETOOLONG => Refusal::NameTooLong,
            Errno::ACCESS | Errno::PERM => Refusal::NotPermitted,
            Errno::ROFS => Refusal::ReadOnlyDisk,
            Errno::ISDIR => Refusal::IsDirectory,
            Errno::NOTEMPTY => Refusal::DirectoryNotEmpty,
            Errno::EXIST => Refusal::Exists,
            // A socket, or a device file without a device, cannot even be opened.
            Errno::NXIO | Errno::NODEV => Refusal::NotRegular,
            Errno::FBIG => Refusal::ContentTooLarge,
            Errno::NOSPC | Errno::DQUOT => Refusal::StorageFull,
            Errno::MFILE | Errno::NFILE => Refusal::OutOfDescriptors,
            Errno::NOMEM => Refusal::OutOfMemory,
            Errno::AGAIN | Errno::INTR | Errno::BUSY | Errno::TXTBSY => Refusal::Busy,
            other => Refusal::Disk { errno: other.raw_os_error() },
        }
    }

    /// [`from_os`](Refusal::from_os) for an error that comes through the standard library.
    pub fn from_io(error: &std::io::Error) -> Refusal {
        match Errno::from_io_error(error) {
            Some(errno) => Refusal::from_os(errno),
            None => Refusal::Disk { errno: 0 },
        }
    }

    /// The status that the client gets.
    pub fn status(self) -> Status {
        match self {
            Refusal::BadEscape
            | Refusal::PartialContent
            | Refusal::BadDigest
            | Refusal::DigestMismatch
            | Refusal::NothingToStore => Status::BAD_REQUEST,
            Refusal::TooManyForms => Status::TOO_MANY_REQUESTS,
            Refusal::CodedContent | Refusal::DirectoryContent | Refusal::FileInForm => {
                Status::UNSUPPORTED_MEDIA_TYPE
            }
            Refusal::ForeignHost => Status::MISDIRECTED_REQUEST,
            Refusal::EncodedSlash
            | Refusal::OutsideRoot
            | Refusal::NameTooLong
            | Refusal::Hidden
            | Refusal::OwnLog
            | Refusal::NotListed
            | Refusal::NotFound
            | Refusal::NotADirectory
            | Refusal::SymlinkLoop
            | Refusal::NotRegular => Status::NOT_FOUND,
            // RFC 9110 §15.5.2: with a WWW-Authenticate field, which must be there.
            Refusal::Unauthorized => Status::UNAUTHORIZED,
            // RFC 6585 §4: with Retry-After.
            Refusal::TooManyFailures { .. } => Status::TOO_MANY_REQUESTS,
            Refusal::NoRight
            | Refusal::NotPermitted
            | Refusal::ReadOnlyDisk
            | Refusal::CrossSite
            | Refusal::ForeignOrigin => Status::FORBIDDEN,
            Refusal::ReadOnly | Refusal::MethodNotAllowed | Refusal::NoForm => {
                Status::METHOD_NOT_ALLOWED
            }
            Refusal::IsDirectory
            | Refusal::DirectoryNotEmpty
            | Refusal::Exists
            | Refusal::ParentMissing
            | Refusal::TooDeep => Status::CONFLICT,
            Refusal::ContentTooLarge | Refusal::TooManyFiles | Refusal::SubmissionTooLarge => {
                Status::CONTENT_TOO_LARGE
            }
            Refusal::StorageFull | Refusal::QuotaReached => Status::INSUFFICIENT_STORAGE,
            // These pass. A 404 would be remembered, by caches and by search engines.
            Refusal::OutOfDescriptors | Refusal::OutOfMemory | Refusal::Busy => {
                Status::SERVICE_UNAVAILABLE
            }
            Refusal::ShortRead | Refusal::Disk { .. } => Status::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word that the log prints: `[a-z-]`, and the variant's own name.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::BadEscape => "bad-escape",
            Refusal::EncodedSlash => "encoded-slash",
            Refusal::OutsideRoot => "outside-root",
            Refusal::NameTooLong => "name-too-long",
            Refusal::Hidden => "hidden",
            Refusal::OwnLog => "own-log",
            Refusal::NotListed => "not-listed",
            Refusal::PartialContent => "partial-content",
            Refusal::CodedContent => "coded-content",
            Refusal::BadDigest => "bad-digest",
            Refusal::DigestMismatch => "digest-mismatch",
            Refusal::NothingToStore => "nothing-to-store",
            Refusal::NoForm => "no-form",
            Refusal::FileInForm => "file-in-form",
            Refusal::TooManyFiles => "too-many-files",
            Refusal::SubmissionTooLarge => "submission-too-large",
            Refusal::TooManyForms => "too-many-forms",
            Refusal::DirectoryContent => "directory-content",
            Refusal::ForeignHost => "foreign-host",
            Refusal::CrossSite => "cross-site",
            Refusal::ForeignOrigin => "foreign-origin",
            Refusal::NotFound => "not-found",
            Refusal::NotADirectory => "not-a-directory",
            Refusal::SymlinkLoop => "symlink-loop",
            Refusal::NotRegular => "not-regular",
            Refusal::Unauthorized => "unauthorized",
            Refusal::NoRight => "no-right",
            Refusal::TooManyFailures { .. } => "too-many-failures",
            Refusal::NotPermitted => "not-permitted",
            Refusal::ReadOnlyDisk => "read-only-disk",
            Refusal::ReadOnly => "read-only",
            Refusal::MethodNotAllowed => "method-not-allowed",
            Refusal::IsDirectory => "is-directory",
            Refusal::DirectoryNotEmpty => "directory-not-empty",
            Refusal::Exists => "exists",
            Refusal::ParentMissing => "parent-missing",
            Refusal::TooDeep => "too-deep",
            Refusal::ContentTooLarge => "content-too-large",
            Refusal::StorageFull => "storage-full",
            Refusal::QuotaReached => "quota-reached",
            Refusal::OutOfDescriptors => "out-of-descriptors",
            Refusal::OutOfMemory => "out-of-memory",
            Refusal::Busy => "busy",
            Refusal::ShortRead => "short-read",
            Refusal::Disk { .. } => "disk",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_os_error_becomes_a_status_and_a_word() {
        let table = [
            (Errno::NOENT, 404, "not-found"),
            (Errno::NOTDIR, 404, "not-a-directory"),
            (Errno::XDEV, 404, "outside-root"),
            (Errno::LOOP, 404, "symlink-loop"),
            (Errno::NAMETOOLONG, 404, "name-too-long"),
            (Errno::NXIO, 404, "not-regular"),
            (Errno::ACCESS, 403, "not-permitted"),
            (Errno::PERM, 403, "not-permitted"),
            (Errno::ROFS, 403, "read-only-disk"),
            (Errno::ISDIR, 409, "is-directory"),
            (Errno::NOTEMPTY, 409, "directory-not-empty"),
            (Errno::EXIST, 409, "exists"),
            (Errno::FBIG, 413, "content-too-large"),
            (Errno::NOSPC, 507, "storage-full"),
            (Errno::DQUOT, 507, "storage-full"),
            (Errno::MFILE, 503, "out-of-descriptors"),
            (Errno::NFILE, 503, "out-of-descriptors"),
            (Errno::NOMEM, 503, "out-of-memory"),
            (Errno::AGAIN, 503, "busy"),
            (Errno::IO, 500, "disk"),
            (Errno::STALE, 500, "disk"),
        ];
        for (errno, status, reason) in table {
            let refusal = Refusal::from_os(errno);
            assert_eq!((refusal.status().code(), refusal.reason()), (status, reason), "{errno:?}");
            let error = io::Error::from(errno);
            assert_eq!(Refusal::from_io(&error), refusal, "{errno:?} through io::Error");
        }
    }

    #[test]
    fn an_error_without_a_number_is_disk_trouble() {
        let error = io::Error::other("made up");
        assert_eq!(Refusal::from_io(&error), Refusal::Disk { errno: 0 });
    }

    #[test]
    fn what_the_path_alone_decides_has_its_status() {
        let table = [
            (Refusal::BadEscape, 400),
            (Refusal::EncodedSlash, 404),
            (Refusal::Hidden, 404),
            (Refusal::Unauthorized, 401),
            (Refusal::NoRight, 403),
            (Refusal::TooManyFailures { seconds: 1 }, 429),
            (Refusal::ReadOnly, 405),
            (Refusal::MethodNotAllowed, 405),
            (Refusal::ParentMissing, 409),
            (Refusal::CodedContent, 415),
            (Refusal::DirectoryContent, 415),
            (Refusal::FileInForm, 415),
            (Refusal::BadDigest, 400),
            (Refusal::DigestMismatch, 400),
            (Refusal::NothingToStore, 400),
            (Refusal::NoForm, 405),
            (Refusal::TooManyFiles, 413),
            (Refusal::SubmissionTooLarge, 413),
            (Refusal::TooManyForms, 429),
            (Refusal::ForeignHost, 421),
            (Refusal::CrossSite, 403),
            (Refusal::ForeignOrigin, 403),
            (Refusal::QuotaReached, 507),
            (Refusal::ShortRead, 500),
        ];
        for (refusal, status) in table {
            assert_eq!(refusal.status().code(), status, "{refusal}");
            assert!(
                refusal.reason().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{refusal}"
            );
        }
    }
}
