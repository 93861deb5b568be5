//! Clients that are slow, gone, too many, or ask for too much.

use super::*;

#[test]
fn a_request_that_does_not_come_closes_its_connection() {
    run_hurried(async {
        let broker = Running::start(|_| {}).await;
        for part in [&[0][..], &[0, 0, 0, 20, 0], &[0, 0, 0, 20, 0, 18, 0, 0], &[0, 8, 0, 0, 0, 0, 1, 1]] {
            let mut socket = broker.connect().await;
            socket.write_all(part).await.unwrap();
            assert!(is_closed(&mut socket).await, "{part:?}");
        }
        assert_eq!(broker.stats.figures().connections_failed, 4);
    });
}

#[test]
fn a_connection_that_idles_is_closed_and_nobody_is_told() {
    run_hurried(async {
        let broker = Running::start(|_| {}).await;
        let mut socket = broker.connect().await;
        send(&mut socket, 18, 0, 1, &[]).await;
        receive(&mut socket).await;
        assert!(is_closed(&mut socket).await);
        assert_eq!(broker.stats.figures().connections_failed, 0);
    });
}

#[test]
fn half_a_request_does_not_keep_the_bytes_in_flight() {
    run_hurried(async {
        // Two requests of a megabyte are all that fits.
        let broker = Running::start(|_| {}).await;
        let mut hostile = Vec::new();
        for _ in 0..2 {
            let mut socket = broker.connect().await;
            // Produce: the length of a megabyte, and its first bytes.
            socket.write_all(&[0, 0x10, 0, 0, 0, 0, 0, 9, 0, 0]).await.unwrap();
            hostile.push(socket);
        }
        let mut small = broker.connect().await;
        send(&mut small, 18, 0, 1, &[]).await;
        assert_eq!(receive(&mut small).await.0, 1, "small requests do not wait");
        let mut large = broker.connect().await;
        send(&mut large, 0, 99, 2, &vec![0; 1 << 19]).await;
        assert_eq!(receive(&mut large).await.0, 2, "large ones wait until the hostile are cut off");
        for socket in &mut hostile {
            assert!(is_closed(socket).await);
        }
    });
}

#[test]
fn a_request_over_the_limit_is_refused_by_its_length() {
    run(async {
        let broker = Running::start(|settings| settings.limits.request_bytes = 64 << 20).await;
        // Produce may be as large as the setting says, others not.
        for (key, bytes) in [(0, (64 << 20) + 1), (3, limits::CONTROL_REQUEST_BYTES as i32 + 1)] {
            let mut socket = broker.connect().await;
            socket.write_i32(bytes).await.unwrap();
            socket.write_i16(key).await.unwrap();
            assert!(is_closed(&mut socket).await);
        }
        broker.stop().await;
    });
}

#[test]
fn one_connection_more_than_allowed_is_closed_and_a_place_that_is_left_is_taken() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let mut sockets = Vec::new();
        for number in 0..4 {
            let mut socket = broker.connect().await;
            send(&mut socket, 18, 0, number, &[]).await;
            assert_eq!(receive(&mut socket).await.0, number);
            sockets.push(socket);
        }
        let mut refused = broker.connect().await;
        assert!(is_closed(&mut refused).await);
        assert_eq!(broker.stats.figures().connections, 4);
        assert_eq!(broker.stats.figures().connections_refused, 1);
        sockets.pop();
        // The broker learns of it a little later than we do.
        loop {
            let mut socket = broker.connect().await;
            socket.write_all(&frame(18, 0, 9, &[])).await.unwrap();
            if socket.read_u32().await.is_ok() {
                break;
            }
        }
        broker.stop().await;
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    run_hurried(async {
        let broker = Running::start(|_| {}).await;
        let mut socket = broker.connect().await;
        let question = frame(18, 0, 1, &[]);
        // Far more answers than the buffers of both ends hold.
        let (mut read, mut write) = socket.split();
        let error = loop {
            if let Err(error) = write.write_all(&question.repeat(1000)).await {
                break error;
            }
        };
        assert!(matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe));
        let mut rest = Vec::new();
        let _reset = read.read_to_end(&mut rest).await;
        assert_eq!(broker.stats.figures().connections_failed, 1);
    });
}

#[test]
fn stopping_does_not_wait_for_idle_connections() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let mut idle = broker.connect().await;
        send(&mut idle, 18, 0, 1, &[]).await;
        receive(&mut idle).await;
        let address = broker.address;
        broker.stop().await;
        assert!(is_closed(&mut idle).await);
        assert!(TcpStream::connect(address).await.is_err());
    });
}
