//! One connection: request after request to the store and the answers back, spoilt where a rule says so.

use std::io;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::proxy::message::{Wire, parse, parse_request, print};
use crate::proxy::{Fault, Head, Kind, Shared};

/// Serves a connection until either side closes it or a fault does.
pub(super) async fn relay(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut client = Wire::new(stream);
    let mut store: Option<Wire> = None;
    while let Some(bytes) = client.head().await? {
        let head = parse_request(&bytes);
        let fault = shared.judge(&head);
        if head.method == http::Method::CONNECT {
            client.send(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            let mut upstream = TcpStream::connect(&shared.upstream).await?;
            copy_bidirectional(&mut client.stream, &mut upstream).await?;
            return Ok(());
        }
        if answer_instead(&mut client, shared, &head, fault.as_ref()).await? {
            continue;
        }
        let mut upstream = match store.take() {
            Some(upstream) => upstream,
            None => Wire::new(TcpStream::connect(&shared.upstream).await?),
        };
        send_on(&mut client, &mut upstream, shared, &head, fault.as_ref()).await?;
        answer(&mut client, &mut upstream, shared, &head, fault.as_ref()).await?;
        store = Some(upstream);
    }
    Ok(())
}

fn broken<T>(why: &str) -> io::Result<T> {
    Err(io::Error::other(why))
}

/// The other side gets a reset in place of an orderly end.
fn reset<T>(client: &Wire) -> io::Result<T> {
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO))?;
    broken("reset on purpose")
}

/// Nothing more is read or written, until the other side gives up or the proxy ends.
async fn hang<T>() -> io::Result<T> {
    std::future::pending().await
}

/// Answers of our own; `false` if the store is to be asked.
async fn answer_instead(client: &mut Wire, shared: &Shared, head: &Head, fault: Option<&Fault>) -> io::Result<bool> {
    let (status, more, code) = match fault {
        Some(Fault::Reset) => return reset(client),
        Some(Fault::Status(status)) => (*status, String::new(), None),
        Some(Fault::RetryAfter(status, seconds)) => (*status, format!("Retry-After: {seconds}\r\n"), Some("SlowDown")),
        Some(Fault::Code(status, code)) => (*status, String::new(), Some(*code)),
        Some(Fault::Redirect(to)) => (307, format!("Location: {to}\r\n"), Some("TemporaryRedirect")),
        Some(Fault::Garbage) => {
            take_body(client, shared, head).await?;
            client.send(b"\x15\x03\x01 this is no answer \r\n\r\n").await?;
            return broken("garbage on purpose");
        }
        _ => return Ok(false),
    };
    take_body(client, shared, head).await?;
    let body = match code.filter(|_| head.method != http::Method::HEAD) {
        Some(code) => format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>"),
        None => String::new(),
    };
    let date = httpdate();
    let length = body.len();
    let text = format!("HTTP/1.1 {status} Spoilt\r\nDate: {date}\r\n{more}Content-Length: {length}\r\n\r\n{body}");
    client.send(text.as_bytes()).await?;
    Ok(true)
}

fn httpdate() -> String {
    let format = time::format_description::well_known::Rfc2822;
    time::OffsetDateTime::now_utc().format(&format).unwrap().replace("+0000", "GMT")
}

async fn take_body(client: &mut Wire, shared: &Shared, head: &Head) -> io::Result<()> {
    let mut left = head.length();
    while left > 0 {
        let piece = client.piece(left).await?;
        left -= piece.len() as u64;
        shared.count(head.kind(), |count| count.up += piece.len() as u64);
    }
    Ok(())
}

async fn send_on(client: &mut Wire, store: &mut Wire, shared: &Shared, head: &Head, fault: Option<&Fault>) -> io::Result<()> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    store.send(&print(&format!("{} {path} HTTP/1.1", head.method), &head.headers)).await?;
    let length = head.length();
    let end = match fault {
        Some(Fault::ResetAfter(bytes) | Fault::StallUp(bytes)) => (*bytes).min(length / 2),
        _ => length,
    };
    let mut sent = 0;
    loop {
        match fault {
            Some(Fault::ResetAfter(_)) if sent == end => return reset(client),
            Some(Fault::StallUp(_)) if sent == end => return hang().await,
            _ => {}
        }
        if sent == length {
            return Ok(());
        }
        let mut piece = client.piece(end - sent).await?;
        shared.count(head.kind(), |count| count.up += piece.len() as u64);
        match fault {
            Some(Fault::FlipUp) => flip(&mut piece, sent, length),
            Some(Fault::TrickleUp(pause)) => tokio::time::sleep(*pause).await,
            _ => {}
        }
        store.send(&piece).await?;
        sent += piece.len() as u64;
    }
}

async fn answer(client: &mut Wire, store: &mut Wire, shared: &Shared, head: &Head, fault: Option<&Fault>) -> io::Result<()> {
    let Some(bytes) = store.head().await? else { return broken("the store closed") };
    let (mut first, mut headers) = parse(&bytes);
    let status: u16 = first.split(' ').nth(1).unwrap().parse().unwrap();
    let find = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let bodiless = head.method == http::Method::HEAD || matches!(status, 100..=199 | 204 | 304);
    let (length, chunked) = match find("transfer-encoding") {
        _ if bodiless => (0, None),
        Some(_) => {
            let body = store.chunked().await?;
            (body.len() as u64, Some(body))
        }
        None => (find("content-length").map_or(0, |length| length.parse().unwrap()), None),
    };
    if !bodiless {
        headers.retain(|(name, _)| !matches!(name.as_str(), "transfer-encoding" | "content-length"));
        headers.push(("content-length".to_owned(), length.to_string()));
    }
    match fault {
        Some(Fault::LoseAnswer) => {
            if chunked.is_none() {
                store.whole(length).await?;
            }
            return broken("answer lost on purpose");
        }
        Some(Fault::Silence) => return hang().await,
        Some(Fault::CloseDelimited) => {
            first = first.replace("HTTP/1.1", "HTTP/1.0");
            headers.retain(|(name, _)| !matches!(name.as_str(), "content-length" | "connection"));
            headers.push(("connection".to_owned(), "close".to_owned()));
        }
        Some(Fault::OtherEtag(encrypted)) => {
            headers.retain(|(name, _)| name != "etag");
            headers.push(("etag".to_owned(), "\"0123456789abcdef0123456789abcdef\"".to_owned()));
            if *encrypted {
                headers.push(("x-obs-server-side-encryption".to_owned(), "AES256".to_owned()));
            }
        }
        _ => {}
    }
    client.send(&print(&first, &headers)).await?;
    let body = Body { length, chunked, kind: head.kind() };
    send_back(client, store, shared, body, fault).await
}

struct Body {
    length: u64,
    chunked: Option<Vec<u8>>,
    kind: Kind,
}

async fn send_back(
    client: &mut Wire,
    store: &mut Wire,
    shared: &Shared,
    mut body: Body,
    fault: Option<&Fault>,
) -> io::Result<()> {
    let length = body.length;
    let mut sent = 0;
    while sent < length {
        let mut piece = match body.chunked.take() {
            Some(whole) => whole,
            None => store.piece(length - sent).await?,
        };
        match fault {
            Some(Fault::FlipDown) => flip(&mut piece, sent, length),
            Some(Fault::CutBody | Fault::StallDown) => {
                let room = usize::try_from((length / 2).saturating_sub(sent)).unwrap();
                piece.truncate(room);
            }
            Some(Fault::TrickleDown(pause)) => tokio::time::sleep(*pause).await,
            _ => {}
        }
        client.send(&piece).await?;
        sent += piece.len() as u64;
        shared.count(body.kind, |count| count.down += piece.len() as u64);
        match fault {
            Some(Fault::CutBody) if sent >= length / 2 => return broken("cut on purpose"),
            Some(Fault::StallDown) if sent >= length / 2 => return hang().await,
            _ => {}
        }
    }
    match fault {
        Some(Fault::Oversize) => client.send(&[b'x'; 1000]).await,
        Some(Fault::CloseDelimited) => broken("closed, as HTTP/1.0 does"),
        _ => Ok(()),
    }
}

/// Changes the byte in the middle of a body, if it is in this piece.
fn flip(piece: &mut [u8], offset: u64, length: u64) {
    let middle = (length / 2).checked_sub(offset).and_then(|index| usize::try_from(index).ok());
    if let Some(byte) = middle.and_then(|index| piece.get_mut(index)) {
        *byte ^= 1;
    }
}
