//! Notices are acknowledged.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::ids::NoticeId;
use crate::domain::notice::Notice as DomainNotice;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::graphql::error::MutationResult;
use crate::graphql::input::input_id;
use crate::graphql::payload::answer;
use crate::graphql::session::{Session, session};
use crate::graphql::types::notice::Notice;
use crate::graphql::types::user_error::UserError;

/// Takes a notice off its account's list.
#[derive(InputObject)]
pub struct AcknowledgeNoticeInput {
    /// The notice.
    notice_id: ID,
}

/// The notice that was acknowledged.
#[derive(SimpleObject, Default)]
pub struct AcknowledgeNoticePayload {
    /// The notice.
    notice: Option<Notice>,
    /// Why it was not.
    user_errors: Vec<UserError>,
}

/// The mutations of notices.
#[derive(Default)]
pub struct NoticeMutation;

/// The mutations of notices.
#[Object]
impl NoticeMutation {
    /// Takes a notice off its account's list. Asking again changes nothing more. Only operators acknowledge DEPOSIT_UNUSED: it is
    /// theirs to do something about.
    async fn acknowledge_notice(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which notice.")] input: AcknowledgeNoticeInput,
    ) -> async_graphql::Result<AcknowledgeNoticePayload> {
        answer(acknowledge(session(ctx)?, input).await, |notice, user_errors| AcknowledgeNoticePayload {
            notice: notice.map(|notice| Notice(Arc::new(notice))),
            user_errors,
        })
    }
}

async fn acknowledge(session: &Session, input: AcknowledgeNoticeInput) -> MutationResult<DomainNotice> {
    let id = input_id("noticeId", &input.notice_id, NoticeId::parse)?;
    let acknowledged = session.repository().notice_acknowledge(id, session.app.clock.now()).await?;
    let none = || {
        Refusal::new(RefusalCode::NotFound, "noticeId", "there is no such notice that you can acknowledge")
    };
    Ok(acknowledged.ok_or_else(none)?)
}
