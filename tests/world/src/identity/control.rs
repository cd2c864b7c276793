//! The part of the control API that sets up and disturbs sign-in, below `/_control/identity`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET identity` | | `{"authority","authorize_path","token_path","revocation_path","apps":[…],"users":[…],"grants":[…],"connections":[…],"refreshes":{…},"switches":{…}}`, without a secret or token |
//! | `POST identity/apps` | [`AppSpec`] or a list | `{"ok":true}` |
//! | `POST identity/users` | [`UserSpec`] or a list | `{"ok":true}` |
//! | `POST identity/expire` | [`Expiry`], e.g. `{"access":true}` | `{"ok":true}` |
//! | `POST identity/revoke` | [`Whose`]; `{}` means everybody | `{"revoked":1}` |
//! | `GET identity/refreshes` | | [`super::Refreshes`] |
//! | `POST identity/switches` | those of [`super::IdentitySwitches`] that change | all of them |
//!
//! Faults of the token endpoint are the desk's, e.g. `{"method":"POST","path":"/connect/token","kind":"hang_up","apply":true}`.

use serde_json::{Value, json};

use super::spec::{AppSpec, Expiry, UserSpec, Whose};
use crate::desk::Desk;
use crate::server::Request;

/// Answers a request below `/_control/identity`; none if there is no such route.
pub(crate) fn control(desk: &mut Desk, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
    let now = desk.clock.now();
    let identity = &mut desk.identity;
    let done = json!({"ok": true});
    Ok(Some(match (request.method.as_str(), path) {
        ("GET", []) => identity.shows(),
        ("POST", ["apps"]) => {
            for app in request.read_list::<AppSpec>()? {
                identity.registers_app(app)?;
            }
            done
        }
        ("POST", ["users"]) => {
            for user in request.read_list::<UserSpec>()? {
                identity.registers_user(user);
            }
            done
        }
        ("POST", ["expire"]) => {
            identity.expires(&request.read::<Expiry>()?, now);
            done
        }
        ("POST", ["revoke"]) => json!({"revoked": identity.revokes(&request.read::<Whose>()?)}),
        ("GET", ["refreshes"]) => json!(identity.refreshes),
        ("POST", ["switches"]) => {
            let mut switches = serde_json::to_value(identity.switches)?;
            if let (Some(all), Value::Object(changes)) = (switches.as_object_mut(), request.json()?) {
                all.extend(changes);
            }
            identity.switches = serde_json::from_value(switches)?;
            json!(identity.switches)
        }
        _ => return Ok(None),
    }))
}
