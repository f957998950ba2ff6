//! nginx as a plain proxy with kept connections, where it is installed: what others do without looking at messages.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it is looked for, besides the search path.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// The program, if it is installed.
pub(super) fn program(search_path: &str) -> Option<PathBuf> {
    let folders = search_path.split(':').chain(PLACES);
    folders
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join("nginx"))
        .find(|program| program.is_file())
}

/// The command that runs it on this configuration, with `folder` for all its files.
pub(super) fn command(program: &Path, folder: &Path, configuration: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).arg("-c").arg(configuration);
    command.args(["-e", "stderr"]);
    command
}

/// One process, no log of requests, connections kept on both sides.
pub(super) fn configuration(listen: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream server {{
    server {upstream};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} backlog=1024;
    location / {{
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }}
  }}
}}
"
    )
}
