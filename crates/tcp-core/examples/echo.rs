//! Sends back what it is sent: `cargo run -p tcp-core --example echo -- 127.0.0.1:7777`.

use std::time::Duration;

use tcp_core::{Accepted, Input, Limits, Now, Output, Server, Session, Wait};

struct Echo;

impl Session for Echo {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        output.tail().extend_from_slice(input.bytes());
        input.consume(input.bytes().len());
        if input.is_end() || now.stopping {
            return Wait::Close;
        }
        Wait::Read { deadline: now.instant + Duration::from_secs(60) }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let server = Server::bind(address.parse()?, Limits::default())?;
    println!("echo on {}", server.addresses()[0]);
    Ok(server.start(|_: &Accepted| Echo)?.join()?)
}
