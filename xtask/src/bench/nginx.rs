//! Debian's nginx as a reverse proxy, set up as its manual advises for keep-alive on both sides.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::fairway::HOST;
use super::process::{Server, accepts, free_port};
use crate::install::ensure_debian_package;

/// Starts nginx in front of a backend, and gives it with its address and its version.
pub(crate) fn start(folder: &Path, backend: SocketAddr) -> Result<(Server, SocketAddr, String)> {
    let program = ensure_debian_package("nginx", "nginx")?;
    let version = Command::new(&program).arg("-v").output().context("asking nginx its version")?;
    let version = String::from_utf8_lossy(&version.stderr).trim().replace("nginx version: ", "");
    let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
    let address = SocketAddr::new(loopback, free_port(loopback)?);
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, text(folder, address, backend))?;
    let mut server = Server::start(
        Command::new(&program).arg("-p").arg(folder).arg("-c").arg(&configuration),
        &folder.join("nginx.log"),
    )?;
    server.wait(Duration::from_millis(10), || accepts(address))?;
    Ok((server, address, version))
}

fn text(folder: &Path, address: SocketAddr, backend: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/client;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream echo {{
    server {backend};
    keepalive 256;
    keepalive_requests 1000000;
  }}
  server {{
    listen {address} backlog=1024;
    server_name {HOST};
    location / {{
      proxy_pass http://echo;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"
    )
}
