//! What a user sees of the own project: quotas in use, and messages about what failed.

use clinker_drivers::RequestContext;
use tokio::time::sleep;

use crate::Result;
use crate::api::Api;
use crate::db::Call;
use crate::db::account::AccountCall;
use crate::messages::{MessageRow, UserMessage};
use crate::quota::QuotaSet;

impl Api {
    /// `GET /os-quota-sets/{project}?usage=true`, its two lines about backups.
    pub async fn quotas(&self, context: &RequestContext) -> Result<QuotaSet> {
        let (project_id, limits) = (context.project_id.clone(), self.limits);
        self.ask(Call::Account(AccountCall::Quotas { project_id, limits })).await
    }

    /// `GET /messages`, oldest first.
    pub async fn messages(&self, context: &RequestContext) -> Result<Vec<UserMessage>> {
        let (project_id, message_ttl) = (context.project_id.clone(), self.message_ttl);
        let rows: Vec<MessageRow> = self.ask(Call::Account(AccountCall::Messages { project_id, message_ttl })).await?;
        Ok(rows.iter().map(|row| row.shown(message_ttl)).collect())
    }

    /// Removes expired messages, for ever.
    pub(crate) async fn reap_messages(&self) {
        loop {
            sleep(self.message_reap_interval).await;
            let reap = Call::Account(AccountCall::Reap { message_ttl: self.message_ttl });
            if let Err(error) = self.ask::<()>(reap).await {
                tracing::warn!("expired messages stay for another {}s: {error}", self.message_reap_interval.as_secs());
            }
        }
    }
}
