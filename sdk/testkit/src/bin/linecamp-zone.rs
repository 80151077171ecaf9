//! `linecamp-zone`: serves the fake zone on a loopback port, for trying a provider by hand.
//!
//! ```text
//! linecamp-zone --zone example.org --token s3cret [--listen 127.0.0.1:8053]
//! curl -H 'Authorization: Bearer s3cret' http://127.0.0.1:8053/zones/example.org/records
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;

use linecamp_testkit::{ZoneService, serve};

const USAGE: &str = "usage: linecamp-zone --zone ZONE --token TOKEN [--listen HOST:PORT]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "this is a program for a terminal")]
            {
                eprintln!("{why}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let (mut zone, mut token, mut listen) = (None, None, SocketAddr::from(([127, 0, 0, 1], 8053)));
    for pair in arguments.chunks(2) {
        match pair {
            [flag, value] if flag == "--zone" => zone = Some(value),
            [flag, value] if flag == "--token" => token = Some(value),
            [flag, value] if flag == "--listen" => {
                listen = value.parse().map_err(|_| format!("`{value}` is not HOST:PORT\n{USAGE}"))?;
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    let (Some(zone), Some(token)) = (zone, token) else { return Err(USAGE.to_owned()) };
    let served =
        serve(ZoneService::new(zone, token), listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    #[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
    {
        println!("{zone} is at {}", served.url());
    }
    served.wait();
    Ok(())
}
