//! Access control lists: kept as canned names and answered; everybody with a key of the platform is its owner.

use s3s::dto::{
    GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput, Grant, Grantee, Owner, Permission,
    PutBucketAclInput, PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput, Type,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::index;
use super::objects::check_version;
use super::store::Store;

/// The account that owns everything on the platform.
pub(super) const OWNER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

/// The owner in answers.
pub(super) fn owner() -> Owner {
    Owner { id: Some(OWNER.to_owned()), display_name: Some("platform".to_owned()) }
}

pub(super) fn get_bucket(store: &Store, request: S3Request<GetBucketAclInput>) -> S3Result<S3Response<GetBucketAclOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(grants(&bucket.acl)), owner: Some(owner()) }))
}

pub(super) fn put_bucket(store: &Store, request: S3Request<PutBucketAclInput>) -> S3Result<S3Response<PutBucketAclOutput>> {
    let input = request.input;
    let mut bucket = store.bucket(&input.bucket)?;
    // A list in the body is accepted when it grants the owner what the owner has anyway.
    bucket.acl = match (input.acl, input.access_control_policy) {
        (Some(acl), _) => acl.as_str().to_owned(),
        (None, Some(policy)) => canned_policy(policy.grants)?,
        (None, None) => return Err(S3ErrorCode::MissingSecurityHeader.into()),
    };
    store.state.write(|transaction| index::put_bucket(transaction, &bucket))?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

pub(super) fn get_object(store: &Store, request: S3Request<GetObjectAclInput>) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let object = store.object(&input.bucket, &input.key)?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(grants(&object.detail.acl)),
        owner: Some(owner()),
        ..GetObjectAclOutput::default()
    }))
}

pub(super) fn put_object(store: &Store, request: S3Request<PutObjectAclInput>) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let acl = match (input.acl, input.access_control_policy) {
        (Some(acl), _) => acl.as_str().to_owned(),
        (None, Some(policy)) => canned_policy(policy.grants)?,
        (None, None) => return Err(S3ErrorCode::MissingSecurityHeader.into()),
    };
    store.update(&input.bucket, &input.key, |mut object| {
        object.detail.acl = acl;
        Ok(object)
    })?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// The canned name of a list of grants: who may read or write beside the owner.
fn canned_policy(grants: Option<Vec<Grant>>) -> S3Result<String> {
    let (mut reads, mut writes) = (false, false);
    for grant in grants.unwrap_or_default() {
        let grantee = grant.grantee.as_ref();
        let everybody = grantee.and_then(|grantee| grantee.uri.as_deref()).is_some_and(|uri| uri.ends_with("AllUsers"));
        if everybody {
            match grant.permission.as_ref().map(Permission::as_str) {
                Some(Permission::READ) => reads = true,
                Some(Permission::WRITE) => writes = true,
                _ => return Err(S3ErrorCode::NotImplemented.into()),
            }
        } else if grantee.and_then(|grantee| grantee.id.as_deref()) != Some(OWNER) {
            return Err(s3s::S3Error::with_message(
                S3ErrorCode::NotImplemented,
                "PutAcl with grants to other accounts is not implemented.",
            ));
        }
    }
    Ok(match (reads, writes) {
        (false, false) => "private",
        (true, false) => "public-read",
        (_, true) => "public-read-write",
    }
    .to_owned())
}

fn grants(acl: &str) -> Vec<Grant> {
    let to_owner = Grantee {
        id: Some(OWNER.to_owned()),
        display_name: Some("platform".to_owned()),
        email_address: None,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let mut grants = vec![grant(to_owner, Permission::FULL_CONTROL)];
    let everybody = || Grantee {
        id: None,
        display_name: None,
        email_address: None,
        type_: Type::from_static(Type::GROUP),
        uri: Some(ALL_USERS.to_owned()),
    };
    if acl.starts_with("public-read") {
        grants.push(grant(everybody(), Permission::READ));
    }
    if acl.starts_with("public-read-write") {
        grants.push(grant(everybody(), Permission::WRITE));
    }
    grants
}

fn grant(grantee: Grantee, permission: &'static str) -> Grant {
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(permission)) }
}
