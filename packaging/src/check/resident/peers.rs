//! Other agents, run beside ours and asked as often as ours looks.

use super::super::scene::Running;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Where an agent is asked, and what.
pub(super) struct Port {
    address: SocketAddr,
    question: &'static str,
}

impl Port {
    /// node_exporter with its usual collectors.
    ///
    /// # Errors
    /// It is not installed.
    pub(super) fn node_exporter() -> Result<(Running, Port)> {
        let address = free()?;
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}"));
        let question = "GET /metrics HTTP/1.0\r\n\r\n";
        Ok((start(command)?, Port { address, question }))
    }

    /// Zabbix's agent, passive.
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
        Ok((start(command)?, Port { address, question: "system.cpu.load\n" }))
    }

    /// Asks as its server would; how many bytes came.
    ///
    /// # Errors
    /// No answer.
    pub(super) fn ask(&self) -> Result<usize> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(self.question.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.len())
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start(mut command: Command) -> Result<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Running::new(command.spawn().with_context(|| format!("{name} is not installed"))?))
}
