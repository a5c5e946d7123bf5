import type { EngineContext, MountStore, RenewalTerms, TtlBounds } from '../../core/backend.ts'
import { BrokerError, invalidRequest } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Mount, Token } from '../../core/model.ts'
import { StoreConflict } from '../../core/store.ts'
import { grantTtl } from '../../core/ttl.ts'
import type { LiveToken, TokenStore } from '../../tokens/token-store.ts'
import { findTokenRole } from './token-roles.ts'

export interface TokenRenewalOptions {
  readonly tokens: Pick<TokenStore, 'renew' | 'findByAccessor'>
  readonly mounts: {
    byAccessor (accessor: string): Mount | null
    ttlBounds (mount: Mount): TtlBounds
    storeOf (mount: Mount): MountStore
  }
  /** How an auth method judges renewals; null for a type that is none. */
  readonly authMethod: (type: string) => { renew (context: EngineContext, renewal: Json): Promise<RenewalTerms> } | null
}

/** Terms under which a token is renewed now. Seconds; 0 means "not set". */
interface Terms extends RenewalTerms {
  readonly explicitMaxTtlSeconds: number
}

const conflictRetries = 5

/** Renewal of tokens: the terms are those of the role as it is now (contract 2.4, 3.6). */
export function createTokenRenewal ({ tokens, mounts, authMethod }: TokenRenewalOptions) {
  async function termsOf (token: Token, mount: Mount, nowMs: number): Promise<Terms> {
    const asMade = {
      ttlSeconds: token.creationTtlSeconds,
      ttlSecondsMax: 0,
      periodSeconds: token.periodSeconds,
      explicitMaxTtlSeconds: token.explicitMaxTtlSeconds
    }
    if (token.role !== null) {
      const role = await findTokenRole(mounts.storeOf(mount), token.role)
      if (role === null) throw invalidRequest(`original token role "${token.role}" could not be found, not renewing`)
      return { ...asMade, periodSeconds: role.periodSeconds, explicitMaxTtlSeconds: role.explicitMaxTtlSeconds }
    }
    if (token.renewal === null) return asMade
    const method = authMethod(mount.type)
    if (method === null) throw invalidRequest('lease is not renewable')
    return { ...asMade, ...await method.renew({ mount, store: mounts.storeOf(mount), nowMs }, token.renewal) }
  }

  async function renewOnce (live: LiveToken, incrementSeconds: number, nowMs: number) {
    const { token } = live
    if (!token.renewable || token.expiresAtMs === null) throw invalidRequest('lease is not renewable')
    const mount = mounts.byAccessor(token.mountAccessor)
    if (mount === null) throw invalidRequest('lease is not renewable')
    const terms = await termsOf(token, mount, nowMs)
    const bounds = mounts.ttlBounds(mount)
    const granted = grantTtl({
      ...terms,
      incrementSeconds,
      mountTtlSecondsDefault: bounds.ttlSecondsDefault,
      mountTtlSecondsMax: bounds.ttlSecondsMax,
      issuedAtMs: token.issuedAtMs,
      nowMs
    })
    const ttlSeconds = untilEnd(granted.ttlSeconds, token, nowMs)
    const renewed = await tokens.renew(live, nowMs + ttlSeconds * 1000, nowMs)
    return { token: renewed, ttlSeconds, warnings: granted.warnings }
  }

  return {
    /** @throws BrokerError with the contract's reason why not. */
    async renew (live: LiveToken, incrementSeconds: number, nowMs: number) {
      let present: LiveToken | null = live
      for (let left = conflictRetries; present !== null; left--) {
        try {
          return await renewOnce(present, incrementSeconds, nowMs)
        } catch (error) {
          if (!(error instanceof StoreConflict) || left === 0) throw error
          present = await tokens.findByAccessor(live.token.accessor, nowMs)
        }
      }
      throw invalidRequest('token not found')
    }
  }
}

/** The hard end that the token's own text carries cannot be moved. */
function untilEnd (ttlSeconds: number, { endsAtMs }: Token, nowMs: number): number {
  if (endsAtMs === null) return ttlSeconds
  const left = Math.floor((endsAtMs - nowMs) / 1000)
  if (left <= 0) throw new BrokerError('failed', 'past the max TTL, cannot renew')
  return Math.min(ttlSeconds, left)
}
