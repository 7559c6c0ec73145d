//! `httpd hash-password [NAME]`: makes a line for the file of `--auth`.
//!
//! The password comes from the terminal or from standard input, never from the command line, which
//! every user of the machine can see.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use anyhow::{Context, anyhow};
use fileserve::access::{PASSWORD_BYTES_MAX, check_name, hash_password};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// What the command is called.
pub(crate) const NAME: &str = "hash-password";

const HELP: &str = "\
Makes a line for the file of --auth: NAME:HASH, or the hash alone

Usage: httpd hash-password [NAME]

The password is asked for, without being shown; or it is the first line of standard input:
  httpd hash-password eve >> users
  pass show site/eve | httpd hash-password eve >> users
";

/// Why there is no line.
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Other(error.into())
    }
}

/// Does what the words behind the command's name say.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let Some(name) = name(words).map_err(Failure::Usage)? else {
        return print(HELP);
    };
    let stdin = io::stdin();
    let password = match stdin.is_terminal() {
        true => ask(&name)?,
        false => first_line(stdin.lock()).context("cannot read the password")?,
    };
    let hash = hash_password(&password)?;
    print(&match name.as_str() {
        "" => format!("{hash}\n"),
        name => format!("{name}:{hash}\n"),
    })
}

/// The name, empty if there is none; `None` if it is help that is wanted.
fn name(mut words: impl Iterator<Item = OsString>) -> Result<Option<String>, String> {
    let Some(word) = words.next() else { return Ok(Some(String::new())) };
    let name = word.into_string().map_err(|_| "the name is not UTF-8 - choose another one")?;
    if words.next().is_some() {
        return Err(
            "there is one name at most, and the password is asked for: on the command line \
                    others would see it - try: httpd hash-password NAME"
                .to_owned(),
        );
    }
    match name.as_str() {
        "-h" | "--help" => Ok(None),
        flag if flag.starts_with('-') => {
            Err(format!("there is no option {flag} - try: httpd hash-password NAME"))
        }
        _ => check_name(&name)
            .map(|()| Some(name))
            .map_err(|unfit| format!("{unfit} - choose another one")),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot print it")?;
    Ok(())
}

/// Asks twice at the terminal.
fn ask(name: &str) -> anyhow::Result<Vec<u8>> {
    let _silence = Silence::new().context("cannot keep the terminal from showing the password")?;
    let whose = if name.is_empty() { String::new() } else { format!(" for {name}") };
    let read = |prompt: &str| {
        // On standard error, since the line goes to standard output.
        let _ = write!(io::stderr(), "{prompt}: ");
        first_line(io::stdin().lock()).context("cannot read the password")
    };
    let password = read(&format!("Password{whose}"))?;
    match read("The same again")? == password {
        true => Ok(password),
        false => Err(anyhow!("these were two different passwords - try again")),
    }
}

/// The first line of `input`, without its end. One that is longer than any password is cut, but not
/// to the length of one.
fn first_line(input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    input.take(PASSWORD_BYTES_MAX as u64 + 3).read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    }
    Ok(line)
}

/// While this lives, the terminal does not show what is typed. A signal that ends the process has
/// it show that again first.
struct Silence {
    before: Termios,
    signals: Handle,
}

impl Silence {
    fn new() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP])?;
        let silence = Silence { before, signals: signals.handle() };
        let mut silent = silence.before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown.
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        let before = silence.before.clone();
        thread::Builder::new().spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
                let _ = writeln!(io::stderr());
                // What a shell reports of a process that such a signal has ended.
                std::process::exit(128 + signal);
            }
        })?;
        Ok(silence)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        self.signals.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_name_or_none() {
        let long = "n".repeat(256);
        for (words, expected) in [
            (&[][..], Ok(Some(""))),
            (&["eve"], Ok(Some("eve"))),
            (&["Eve X"], Ok(Some("Eve X"))),
            (&["--help"], Ok(None)),
            (&["-h"], Ok(None)),
            (&["a:b"], Err("the name holds a colon - choose another one")),
            (&[""], Err("the name is empty - choose another one")),
            (&["*"], Err("the name * stands for anyone - choose another one")),
            (&[&*long], Err("the name is longer than 255 bytes - choose another one")),
            (&["-p"], Err("there is no option -p - try: httpd hash-password NAME")),
            (&["eve", "secret"], {
                Err(
                    "there is one name at most, and the password is asked for: on the command line \
                     others would see it - try: httpd hash-password NAME",
                )
            }),
        ] {
            let name = name(words.iter().map(OsString::from));
            let name = name.as_ref().map(Option::as_deref).map_err(String::as_str);
            assert_eq!(name, expected, "{words:?}");
        }
    }

    #[test]
    fn a_password_is_the_first_line() {
        for (input, expected) in [
            ("", ""),
            ("\n", ""),
            ("secret", "secret"),
            ("secret\nmore\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\r", "secret\r"),
            (" a b \n", " a b "),
        ] {
            let line = first_line(input.as_bytes()).expect("memory can be read");
            assert_eq!(line, expected.as_bytes(), "{input:?}");
        }
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        for end in ["", "\n", "\r\n"] {
            let line = first_line(format!("{longest}{end}").as_bytes()).expect("memory");
            assert_eq!(line.len(), PASSWORD_BYTES_MAX, "{end:?}");
        }
        let long = first_line(longest.repeat(3).as_bytes()).expect("memory");
        assert!(long.len() > PASSWORD_BYTES_MAX, "it will be refused");
    }
}
