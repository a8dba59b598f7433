use super::*;
use crate::net::wait_readable;
use std::io::Write;

const MOMENT: Micros = 2 * SECOND;

fn port() -> TcpPort {
    TcpPort::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap()
}

fn connect(port: &TcpPort) -> TcpStream {
    let stream = TcpStream::connect(port.listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    stream
}

/// Lets the port see what has come; the connections that can be read.
fn poll(port: &mut TcpPort, now: Micros) -> Vec<u32> {
    assert_eq!(wait_readable(&[port.as_raw_fd()], Some(MOMENT)), [true], "something has come");
    port.poll(now);
    std::iter::from_fn(|| port.next_readable()).collect()
}

/// A connection and its number.
fn connected(port: &mut TcpPort, now: Micros) -> (TcpStream, u32) {
    let mut client = connect(port);
    client.write_all(b"\0\x01a").unwrap();
    loop {
        if let [number] = poll(port, now)[..] {
            let mut buffer = vec![0; READ_BUFFER];
            assert_eq!(port.receive(number, &mut buffer).unwrap().1, 3);
            port.keep(number, Some(&[]));
            return (client, number);
        }
    }
}

/// Whether the other side has closed: the client reads its end, or an error.
fn has_ended(client: &mut TcpStream) -> bool {
    !matches!(client.read(&mut [0; 100]), Ok(len) if len > 0)
}

#[test]
fn what_is_incomplete_comes_first_next_time() {
    let mut port = port();
    let (mut client, number) = connected(&mut port, 0);
    let mut buffer = vec![0; READ_BUFFER];
    port.keep(number, Some(b"\0\x02a"));
    client.write_all(b"b").unwrap();
    assert_eq!(poll(&mut port, 0), [number]);
    let (path, len) = port.receive(number, &mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"\0\x02ab");
    assert_eq!(path.remote, client.local_addr().unwrap());
    assert_eq!(path.transport, Transport::Tcp(number));
    assert!(port.transmit(number, 2, b"ccd"));
    let mut heard = [0; 7];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"\0\x02cc\0\x01d");
}

#[test]
fn silence_without_a_check_ends_a_connection_and_a_check_gives_it_time() {
    let mut port = port();
    let (mut silent, _) = connected(&mut port, 0);
    let (mut proven, number) = connected(&mut port, 0);
    port.confirm(SECOND, number);
    port.handle_timeout(PROOF_TIMEOUT - 1);
    assert_eq!(port.counts().silent, 0);
    port.handle_timeout(PROOF_TIMEOUT + SWEEP);
    assert_eq!((port.counts().silent, port.take_closed()), (1, Vec::new()));
    assert!(has_ended(&mut silent));
    port.handle_timeout(SECOND + IDLE_TIMEOUT);
    assert_eq!(port.counts().silent, 1, "a proven one is no intruder");
    assert_eq!(port.take_closed().len(), 1, "the shard learns that the path has gone");
    assert!(has_ended(&mut proven));
    assert_eq!(port.poll_timeout(), None);
}

#[test]
fn an_address_has_so_many_connections_without_a_check_and_each_proof_makes_room() {
    let mut port = port();
    let first = connected(&mut port, 0);
    let mut others: Vec<TcpStream> = (0..MAX_UNPROVEN_PER_SOURCE).map(|_| connect(&port)).collect();
    while port.connections.len() < MAX_UNPROVEN_PER_SOURCE || port.counts().refused == 0 {
        poll(&mut port, 0);
    }
    assert_eq!((port.connections.len(), port.counts().refused), (MAX_UNPROVEN_PER_SOURCE, 1));
    assert!(has_ended(others.last_mut().unwrap()));
    port.confirm(0, first.1);
    let (_last, number) = connected(&mut port, 0);
    assert_eq!(port.connections.len(), MAX_UNPROVEN_PER_SOURCE + 1);
    port.handle_timeout(PROOF_TIMEOUT);
    assert!(port.connections.contains_key(&first.1) && !port.connections.contains_key(&number));
    assert_eq!((port.unproven_in_all, port.unproven.len()), (0, 0));
}

#[test]
fn a_frame_that_is_too_large_ends_the_connection() {
    let mut port = port();
    let (mut client, number) = connected(&mut port, 0);
    port.keep(number, None);
    assert_eq!(port.counts().oversized, 1);
    assert!(has_ended(&mut client));
    assert!(!port.transmit(number, 1, b"a"), "there is nobody any more");
}

#[test]
fn who_does_not_read_is_dropped_pictures_first_and_gets_the_rest_whole() {
    let mut port = port();
    let (mut client, number) = connected(&mut port, 0);
    let picture = [7; 1_200];
    let mut pictures = 0;
    while port.transmit(number, picture.len(), &picture) {
        pictures += 1;
        assert!(pictures < 100_000, "what waits is bounded");
    }
    let sound = [9; 100];
    assert!(port.transmit(number, sound.len(), &sound), "there is room for sound");
    assert!(!port.transmit(number, picture.len(), &picture));
    let mut sounds = 1;
    while port.transmit(number, sound.len(), &sound) {
        sounds += 1;
    }
    let expected = pictures * (2 + picture.len()) + sounds * (2 + sound.len());
    let reader = std::thread::spawn(move || {
        let mut heard = vec![0; expected];
        client.read_exact(&mut heard).unwrap();
        heard
    });
    while port.connections[&number].has_pending() {
        poll(&mut port, 0);
    }
    let heard = reader.join().unwrap();
    assert!(heard.starts_with(&[4, 176, 7]) && heard.ends_with(&[9; 100]));
    assert!(port.transmit(number, picture.len(), &picture), "it is as good as new");
}

#[test]
fn a_client_that_goes_is_noticed() {
    let mut port = port();
    let (client, number) = connected(&mut port, 0);
    port.confirm(0, number);
    drop(client);
    assert_eq!(poll(&mut port, 0), [number]);
    assert!(port.receive(number, &mut [0; READ_BUFFER]).is_none());
    assert_eq!(port.take_closed().len(), 1);
}

#[test]
fn a_path_nobody_uses_is_closed_by_the_next_sweep() {
    let mut port = port();
    let (mut client, number) = connected(&mut port, 0);
    port.confirm(0, number);
    assert!(port.transmit(number, 3, b"bye"));
    port.retire(number);
    assert!(port.poll_timeout().is_some_and(|at| at <= 1));
    port.handle_timeout(1);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\0\x03bye");
}
