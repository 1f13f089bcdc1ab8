use std::io;

use lakegate_testkit::World;
use lakegate_testkit::envoy::{Envoy, Listener};
use lakegate_testkit::issuer::TokenSpec;
use lakegate_testkit::world::STAGE;

use crate::show::line;

const JSON: &str = "-H 'Content-Type: application/json'";

/// A working day: long enough to play.
const LIFETIME_S: i64 = 8 * 3600;

/// Says how to send requests by hand.
pub(crate) fn invite(world: &World, sidecar: &Envoy) -> io::Result<()> {
    let outbound = sidecar.outbound()?;
    let gateway = world.gateway_port(Listener::Istio)?;
    let token = world.corp.token(&TokenSpec::new().expires_in(LIFETIME_S))?;
    let (ca, notebook) = (world.authority.ca_file().display(), &world.workloads.notebook);
    line("");
    line("Everything is up until Ctrl-C. A token of alice, who is an ML engineer, good for eight hours:");
    line("");
    line(&format!("  TOKEN={token}"));
    line("");
    line("As ml-staging/trainer, through its sidecar:");
    line("");
    line(&format!(
        "  curl -i http://127.0.0.1:{outbound}/serving-endpoints/sales/invocations -H \"Authorization: Bearer $TOKEN\" {JSON} -d '{{\"inputs\": [[1]]}}'"
    ));
    line(&format!("  curl -i http://127.0.0.1:{outbound}/api/2.2/jobs/run-now -H \"Authorization: Bearer $TOKEN\" {JSON} -d '{{\"job_id\": 43}}'"));
    line("");
    line("As dev/notebook, with its certificate, straight to the gateway:");
    line("");
    line(&format!("  curl -i https://{}:{gateway}/serving-endpoints/sales/invocations --resolve {0}:{gateway}:127.0.0.1 \\", STAGE.host));
    line(&format!("       --cacert {ca} --cert {} --key {} \\", notebook.certificate_file.display(), notebook.key_file.display()));
    line(&format!("       -H \"Host: {}\" -H \"Authorization: Bearer $TOKEN\" {JSON} -d '{{\"inputs\": [[1]]}}'", STAGE.host));
    line("");
    line("And lakegate itself:");
    line("");
    line(&format!("  curl -s http://127.0.0.1:{}/status", world.admin_port()));
    line(&format!("  tail -f {}", world.audit.path().display()));
    line(&format!("  $EDITOR {}/policies/demo.cedar   # in force a moment after it is saved", world.folder().display()));
    Ok(())
}
