/**
 * Names that our own answers and requests use as keys. They stand in clear in the audit log, since
 * they say nothing of a caller; every other key may be somebody's secret and is hidden. The
 * parameters of operations are added by whoever knows the tables.
 */
export const ownNames: ReadonlySet<string> = new Set(`
  accessor access_key allowed_managed_keys arn attempts auth bind_secret_id bound_cidrs bytes cas
  cas_required capabilities cidr_list config connection created_time creation_path creation_time
  creation_ttl credential_type current_metadata_version current_version custom_metadata data
  default_lease_ttl default_ttl delete_version_after deletion_time description destroyed dies_at
  digest display_name entity_id errors exact_paths expiration expiration_time expire_time
  explicit_max_ttl external_entropy_access force_no_cache glob_paths hash iam_groups id input
  issue_time key_info keys last_renewal last_renewal_time last_updated_time last_used_time lease
  lease_duration lease_id lease_max leases listing_visibility local local_secret_ids max_lease_ttl
  max_ttl max_versions meta metadata min_wrapping_ttl max_wrapping_ttl mount_accessor name
  namespace_path num_uses oldest_version options orphan path paths period permissions_boundary_arn
  plugin_version policies policy policy_arns policy_document policy_type renewable required_parameters
  allowed_parameters denied_parameters revocation role role_arns role_id role_name role_session_name
  root rotated rules running_plugin_version running_sha256 seal_wrap secret secret_id secret_id_accessor
  secret_id_bound_cidrs secret_id_num_uses secret_id_ttl secret_key security_token session_token
  session_tags slot source_address state subkeys sum token token_bound_cidrs token_explicit_max_ttl
  token_max_ttl token_no_default_policy token_num_uses token_period token_policies token_ttl
  token_type ttl type updated_time user_path uuid version versions warnings wrap_info
  wrapped_accessor remaining_seconds revision prefix schedule grace_period jitter stable_path on_tripwire
  rotated_time next_rotation_time in_grace ends_time clients resolving address last_seen_time token_accessor
  rotation rotates
`.trim().split(/\s+/))
