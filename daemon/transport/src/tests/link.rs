//! Frames, ends and limits of sessions.

use std::time::Duration;

use linecamp_model::limits::{CLOSE_BYTES_MAX, FRAME_BYTES_MAX};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::fixture::{Server, Site, soon};
use crate::{Expected, FrameError, ListenerSettings, SessionEnd, TransportError};

#[tokio::test]
async fn frames_go_both_ways_up_to_the_limit() {
    let (mut server, site) = (Server::start(), Site::start());
    let linked = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    let ((mut up, mut from_parent), (mut down, mut from_member)) = (linked.site, linked.server);
    for bytes in [1, 1200, FRAME_BYTES_MAX] {
        let payload = vec![7; bytes];
        let (sent, received) = soon(async { tokio::join!(up.send(&payload), from_member.recv(FRAME_BYTES_MAX)) }).await;
        assert_eq!((sent, received.as_ref()), (Ok(()), Ok(&payload)));
        let (sent, received) =
            soon(async { tokio::join!(down.send(&payload), from_parent.recv(FRAME_BYTES_MAX)) }).await;
        assert_eq!((sent, received.as_ref()), (Ok(()), Ok(&payload)));
    }
}

#[tokio::test]
async fn bad_bytes_end_their_own_session_and_no_other() {
    let (mut server, site) = (Server::start(), Site::start());
    let good = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    let (mut good_sender, mut good_receiver) = (good.site.0, good.server.1);

    let mut random = vec![0xff; 4096];
    SystemRandom::new().fill(&mut random[1..]).unwrap();
    for (bytes, is_expected) in [
        (vec![0, 16, 0, 1, 5], |error: &FrameError| matches!(error, FrameError::TooLong { .. })),
        (vec![0, 0, 0, 0], |error: &FrameError| *error == FrameError::Empty),
        (vec![0, 0, 0, 9, 1], |error: &FrameError| *error == FrameError::Truncated { bytes: 5 }),
        (random, |error: &FrameError| matches!(error, FrameError::TooLong { .. })),
    ] as [(Vec<u8>, fn(&FrameError) -> bool); 4]
    {
        let vandal = Site::start();
        let linked = server.link(&vandal, vandal.self_made(), &server.pin()).await.unwrap();
        let ((vandal_sender, mut vandal_receiver), (_sender, mut receiver)) = (linked.site, linked.server);
        vandal_sender.write_raw_and_finish(&bytes).await;
        let Err(SessionEnd::BadFrame(error)) = soon(receiver.recv(FRAME_BYTES_MAX)).await else {
            panic!("{bytes:?} is no frame");
        };
        assert!(is_expected(&error), "{error}");
        receiver.close(4, b"no frame");
        let end = soon(vandal_receiver.recv(FRAME_BYTES_MAX)).await;
        assert_eq!(end, Err(closed(4, b"no frame")));

        good_sender.send(b"still here").await.unwrap();
        let message = soon(good_receiver.recv(FRAME_BYTES_MAX)).await;
        assert_eq!(message.as_deref(), Ok(&b"still here"[..]));
    }
}

#[tokio::test]
async fn the_reason_of_a_close_arrives_cut_to_a_packet() {
    let (mut server, site) = (Server::start(), Site::start());
    let linked = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    let ((mut up, mut from_parent), (down, mut from_member)) = (linked.site, linked.server);
    down.close(7, &[b'x'; 2 * CLOSE_BYTES_MAX]);
    let end = closed(7, &[b'x'; CLOSE_BYTES_MAX]);
    assert_eq!(soon(from_parent.recv(9)).await, Err(end.clone()));
    assert_eq!(soon(up.send(b"too late")).await, Err(end));
    assert_eq!(soon(from_member.recv(9)).await, Err(SessionEnd::ClosedHere));
}

#[tokio::test]
async fn a_final_message_arrives_before_the_close() {
    let (mut server, site) = (Server::start(), Site::start());
    let linked = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    let ((_up, mut from_parent), (mut down, _from_member)) = (linked.site, linked.server);
    let word = vec![3; 300_000];
    let (received, ()) = soon(async {
        tokio::join!(from_parent.recv(FRAME_BYTES_MAX), async {
            down.send(&word).await.unwrap();
            down.close_after_delivery(1, b"done").await;
        })
    })
    .await;
    assert_eq!(received, Ok(word));
    assert_eq!(soon(from_parent.recv(9)).await, Err(closed(1, b"done")));
}

#[tokio::test]
async fn closing_the_listener_notifies_every_site() {
    let (mut server, site) = (Server::start(), Site::start());
    let mut linked = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    server.listener.close(2, b"bye");
    assert_eq!(soon(linked.site.1.recv(9)).await, Err(closed(2, b"bye")));
    drop(linked);
    soon(server.listener.wait_idle()).await;
}

#[tokio::test]
async fn a_silent_peer_times_out() {
    let mut server = Server::start_with(ListenerSettings {
        handshake_limit: Duration::from_millis(300),
        ..ListenerSettings::default()
    });
    let site = Site::start();
    let _silent = soon(site.dialer.dial(server.address(), site.self_made(), &server.pin(), Expected::Server)).await;
    let error = server.arrival().await.unwrap_err();
    assert!(matches!(error, TransportError::HandshakeLate { .. }), "{error:?}");
}

fn closed(code: u32, reason: &[u8]) -> SessionEnd {
    SessionEnd::Closed { code, reason: reason.to_vec() }
}
