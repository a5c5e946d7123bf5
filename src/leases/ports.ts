import type { JsonObject } from '../core/json.ts'
import type { Lease, Mount, Token } from '../core/model.ts'

/** What leases ask of the engines whose credentials they hold. */
export interface LeaseEngines {
  /** Ends a credential, or answers `expires` where nothing can. Must bear being repeated. */
  revoke (lease: Lease, nowMs: number): Promise<'revoked' | 'expires'>
  /** Extends a renewable credential; what it answers is the `data` of the renewal. */
  renew (lease: Lease, ttlSeconds: number, nowMs: number): Promise<JsonObject | null>
}

/** What leases ask of the mount table. */
export interface LeaseMounts {
  all (): readonly Mount[]
  byAccessor (accessor: string): Mount | null
  /** Effective TTLs, never 0. Seconds. */
  ttlBounds (mount: Mount): { readonly ttlSecondsDefault: number, readonly ttlSecondsMax: number }
}

/** What leases ask of the tokens, whose own leases are listed and revoked here too. */
export interface LeaseTokens {
  /** Null unless the token and all its ancestors live. */
  findByAccessor (accessor: string, nowMs: number): Promise<{ readonly token: Token } | null>
  revoke (accessor: string, nowMs: number): Promise<boolean>
}
