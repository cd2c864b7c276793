//! The programs say where they listen, answer, and stop when told to.

#[cfg(test)]
mod programs {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::process::{Command, Stdio};

    fn speaks(binary: &str, kind: &str) {
        let mut program =
            Command::new(binary).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /_control/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(&format!("\"kind\":\"{kind}\"")), "{answer}");
        let stopped = Command::new("kill").arg(program.id().to_string()).status().unwrap();
        assert!(stopped.success() && program.wait().unwrap().success());
    }

    #[test]
    fn the_shop_speaks() {
        speaks(env!("CARGO_BIN_EXE_world-shop"), "shop");
    }

    #[test]
    fn the_book_speaks() {
        speaks(env!("CARGO_BIN_EXE_world-book"), "book");
    }

    #[test]
    fn the_book_of_the_accounting_api_speaks() {
        speaks(env!("CARGO_BIN_EXE_world-accounting"), "accounting");
    }

    #[test]
    fn the_book_of_sage_speaks() {
        speaks(env!("CARGO_BIN_EXE_world-sage"), "sage");
    }

    #[test]
    fn the_freeagent_book_speaks() {
        speaks(env!("CARGO_BIN_EXE_world-freeagent"), "book");
    }
}
