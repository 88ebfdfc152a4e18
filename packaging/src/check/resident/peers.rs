//! Other agents, run beside ours and asked as often as ours looks.

use super::super::scene::Running;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A passive check of the processors' load: magic, protocol 1, 15 bytes of key (Zabbix manual, "Header and data length").
const LOAD: &[u8] = b"ZBXD\x01\x0f\0\0\0\0\0\0\0system.cpu.load";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Where an agent is asked, and what.
pub(super) struct Port {
    address: SocketAddr,
    question: &'static [u8],
}

impl Port {
    /// node_exporter with its usual collectors.
    ///
    /// # Errors
    /// It is not installed.
    pub(super) fn node_exporter(_: &Path) -> Result<(Running, Port)> {
        let address = free()?;
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}"));
        let question = b"GET /metrics HTTP/1.0\r\n\r\n";
        Ok((start(command)?, Port { address, question }))
    }

    /// Zabbix's agent, passive, with its files in `dir`.
    ///
    /// # Errors
    /// It is not installed.
    pub(super) fn zabbix(dir: &Path) -> Result<(Running, Port)> {
        let address = free()?;
        let file = dir.join("zabbix.conf");
        let port = address.port();
        let pid = dir.join("zabbix.pid");
        let text = format!(
            "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nLogType=console\nAllowRoot=1\nPidFile={}\n",
            pid.display()
        );
        std::fs::write(&file, text)?;
        let mut command = Command::new("zabbix_agentd");
        command.arg("--foreground").arg("--config").arg(file);
        Ok((start(command)?, Port { address, question: LOAD }))
    }

    /// Asks as its server would; how many bytes came.
    ///
    /// # Errors
    /// No answer.
    pub(super) fn ask(&self) -> Result<usize> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(self.question)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        ensure!(!answer.is_empty(), "an empty answer");
        Ok(answer.len())
    }
}

/// A free port. Zabbix takes none from 32768 on, where those lie that the system would choose.
fn free() -> Result<SocketAddr> {
    let bound = (20_000..32_768).find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    Ok(bound.context("no free port")?.local_addr()?)
}

fn start(mut command: Command) -> Result<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Running::new(command.spawn().with_context(|| format!("{name} is not installed"))?))
}
