import type { TtlBounds } from '../core/backend.ts'
import type { JsonObject } from '../core/json.ts'
import type { Mount } from '../core/model.ts'

/** A mount as lists and reads show it (contract 5.1). TTLs are the mount's own, 0 where it inherits. */
export function mountInfo (mount: Mount, version: string): JsonObject {
  const { config } = mount
  return {
    type: mount.type,
    description: mount.description,
    accessor: mount.accessor,
    local: mount.local,
    seal_wrap: mount.sealWrap,
    external_entropy_access: false,
    options: mount.options,
    uuid: mount.uuid,
    plugin_version: '',
    running_plugin_version: `v${version}+builtin.latchkey`,
    running_sha256: '',
    deprecation_status: 'supported',
    config: {
      default_lease_ttl: config.ttlSecondsDefault,
      max_lease_ttl: config.ttlSecondsMax,
      force_no_cache: config.forceNoCache,
      ...chosen(mount)
    }
  }
}

/** A mount as those see it who may only know that it exists. */
export function mountOutline (mount: Mount): JsonObject {
  return { type: mount.type, description: mount.description, options: mount.options }
}

/** A mount's settings as tune shows them: TTLs as they are in force (contract 5.3). */
export function tuneInfo (mount: Mount, bounds: TtlBounds): JsonObject {
  return {
    description: mount.description,
    default_lease_ttl: bounds.ttlSecondsDefault,
    max_lease_ttl: bounds.ttlSecondsMax,
    force_no_cache: mount.config.forceNoCache,
    ...(mount.options !== null && { options: mount.options }),
    ...chosen(mount),
    ...(mount.config.userLockout as JsonObject | null)
  }
}

/** Settings that are shown only where someone chose them, except the token type of auth mounts. */
function chosen ({ config, table }: Mount): JsonObject {
  const listed = {
    audit_non_hmac_request_keys: config.auditNonHmacRequestKeys,
    audit_non_hmac_response_keys: config.auditNonHmacResponseKeys,
    passthrough_request_headers: config.passthroughRequestHeaders,
    allowed_response_headers: config.allowedResponseHeaders,
    listing_visibility: config.listingVisibility === '' ? null : config.listingVisibility,
    token_type: table === 'auth' ? config.tokenType ?? 'default-service' : null
  }
  return Object.fromEntries(Object.entries(listed).filter(([, value]) => value !== null))
}
