//! A notice as recipients get it: the body of a webhook's request, and what the text of a mail is made of.

use serde::{Deserialize, Serialize};

/// Version of the shape.
pub const NOTICE_VERSION: u8 = 1;

/// A notice. A recipient may get it more than once, under the same id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeV1 {
    /// Version of this shape.
    pub v: u8,
    /// The notice's id.
    pub id: String,
    /// `connection_lost`, `shop_silent`, `dead_letters`, `held_long`, `healthy`, `digest` or `test`.
    pub kind: String,
    /// The tenant.
    pub tenant: String,
    /// The role that it is for.
    pub role: String,
    /// When it was made, ISO 8601 in UTC.
    pub at: String,
    /// What is wrong, or is over.
    pub troubles: Vec<NoticeTroubleV1>,
}

/// Something that is wrong, or is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeTroubleV1 {
    /// `connection_lost`, `shop_silent`, `dead_letters` or `held_long`.
    pub kind: String,
    /// The provider whose book it concerns; null where it is the shop.
    pub provider: Option<String>,
    /// Why.
    pub code: String,
    /// The code's family.
    pub family: String,
    /// Who can do something about it.
    pub owner: String,
    /// What the code means.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// Since when, ISO 8601 in UTC.
    pub since: String,
    /// How many documents it concerns, as far as that is counted.
    pub count: u32,
    /// Some of them, by their numbers in the shop: `invoice 000000042`.
    pub documents: Vec<String>,
    /// Where there is more, for whoever may sign in; null where the stack does not know its address.
    pub link: Option<String>,
}
