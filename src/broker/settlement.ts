import type { AuditAnswer } from '../audit/entry.ts'
import {
  CredentialUncertain, isListing, type Call, type EventsFor, type Issued, type Login, type Outcome
} from '../core/backend.ts'
import { BrokerError, invalidRequest, notFound } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { requestPrefix } from '../core/model.ts'
import { StoreConflict } from '../core/store.ts'
import { grantTtl } from '../core/ttl.ts'
import type { Leases } from '../leases/lease-manager.ts'
import type { OpenLease } from '../leases/vend.ts'
import { authBlock } from '../tokens/auth-block.ts'
import type { LiveToken, TokenStore } from '../tokens/token-store.ts'
import type { Wrapping } from '../wrapping/wrapping.ts'
import { envelope } from './envelope.ts'
import type { Work } from './gate.ts'
import type { BrokerResponse } from './request.ts'

/** An answer that is ready and not given yet. */
export interface Settled {
  readonly response: BrokerResponse
  readonly view: AuditAnswer
  /** Makes true what the answer says; runs after the answer was audited. null: nothing is left to do. */
  readonly confirm: (() => Promise<void>) | null
  /** Takes back what must not outlive an answer that is never given. null: nothing was made. */
  readonly withdraw: (() => Promise<void>) | null
}

export interface SettlementOptions {
  readonly tokens: Pick<TokenStore, 'create'>
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  readonly leases: Pick<Leases, 'open'>
  readonly wrapping: Pick<Wrapping, 'wrap'>
  readonly now: () => number
}

/** A body that may still be wrapped. */
interface Draft {
  readonly json: string
  readonly view: AuditAnswer
  readonly as?: 'accepted' | 'absent'
  readonly headers?: Readonly<Record<string, string>>
  readonly wrappedAccessor?: string | null
  readonly confirm?: () => Promise<void>
  readonly withdraw?: () => Promise<void>
}

/** From outcome to answer: makes the token or the lease, builds the envelope, wraps it (contract 1.5, 5.9). */
export function createSettlement (options: SettlementOptions) {
  const { tokens, leases, wrapping } = options

  async function settle (work: Work, outcome: Outcome, live: LiveToken | null): Promise<Settled> {
    const { call } = work
    switch (outcome.kind) {
      case 'data': return seal(call, dataDraft(work, outcome))
      case 'login': return seal(call, await loginDraft(work, outcome.login))
      case 'token': return seal(call, tokenDraft(work, outcome))
      case 'credential': return seal(call, await credentialDraft(work, outcome, live))
      case 'none': return noneSettled(work, outcome)
      case 'unchanged': return { response: { kind: 'empty', as: 'unchanged', headers: outcome.headers }, ...nothingMade }
      case 'accepted': return { response: { kind: 'empty', as: 'accepted', ...headersOf(outcome) }, ...nothingMade }
      case 'wrapped': return wrappedSettled(outcome.wrapInfo)
      case 'envelope': return { response: { kind: 'body', json: outcome.json }, ...nothingMade }
      case 'text': return { response: outcome, ...nothingMade }
      case 'stream': return streamSettled(call, outcome.stream)
      case 'bare': return { response: { kind: 'body', json: JSON.stringify(outcome.body) }, ...nothingMade, view: { data: outcome.body } }
    }
  }

  async function loginDraft (work: Work, login: Login): Promise<Draft> {
    const { call } = work
    const { token, clientToken, ttlSeconds, warnings } = await createLoginToken(call, login)
    const auth = authBlock(token, clientToken, ttlSeconds)
    const all = [...(login.warnings ?? []), ...warnings, ...work.warnings]
    return {
      json: envelope({ requestId: call.request.id, auth, warnings: all }),
      view: { auth, warnings: all },
      wrappedAccessor: token.accessor,
      withdraw: async () => { await options.revokeToken(token.accessor, options.now()) }
    }
  }

  async function createLoginToken (call: Call, login: Login) {
    const { mount, nowMs } = call
    const policies = loginPolicies(login)
    const { ttlSeconds, warnings } = grantTtl({
      ttlSeconds: login.ttlSeconds,
      ttlSecondsMax: login.ttlSecondsMax,
      explicitMaxTtlSeconds: login.explicitMaxTtlSeconds,
      periodSeconds: login.periodSeconds,
      mountTtlSecondsDefault: call.ttlBounds.ttlSecondsDefault,
      mountTtlSecondsMax: call.ttlBounds.ttlSecondsMax,
      issuedAtMs: nowMs,
      nowMs
    })
    const listedAs = call.request.path.slice(requestPrefix(mount).length)
    try {
      const made = await tokens.create({
        parent: null,
        kind: 'service',
        path: call.request.path,
        listedAs,
        mountAccessor: mount.accessor,
        displayName: login.displayName,
        policies,
        metadata: login.metadata,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + ttlSeconds * 1000,
        endsAtMs: login.periodSeconds > 0 ? null : nowMs + call.ttlBounds.ttlSecondsMax * 1000,
        creationTtlSeconds: ttlSeconds,
        explicitMaxTtlSeconds: login.explicitMaxTtlSeconds,
        periodSeconds: login.periodSeconds,
        renewable: true,
        usesMax: login.usesMax,
        boundCidrs: login.boundCidrs,
        orphan: true,
        role: null,
        renewal: login.renewal,
        ...(login.group !== undefined && { group: login.group }),
        ...(login.shard !== undefined && { shard: login.shard }),
        ...(login.changes !== undefined && { changes: () => login.changes ?? [] })
      }, nowMs)
      return { ...made, ttlSeconds, warnings }
    } catch (error) {
      if (error instanceof StoreConflict && login.refusal !== undefined) throw login.refusal()
      throw error
    }
  }

  async function credentialDraft (
    work: Work, outcome: Extract<Outcome, { kind: 'credential' }>, live: LiveToken | null
  ): Promise<Draft> {
    const { call } = work
    const { mount, nowMs } = call
    if (live === null) throw new Error('a credential needs a token to be leased to')
    if (live.usesLeft === 0) {
      throw invalidRequest('Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.')
    }
    const { path } = call.request
    const open = await leases.open({
      token: live.token, mount, path, request: outcome.lease, revocation: outcome.revocation, nowMs
    })
    const issued = await issue(open, outcome.issue)
    const leaseDurationSeconds = Math.max(0, Math.floor((issued.expiresAtMs - options.now()) / 1000))
    const { warnings } = work
    return {
      json: envelope({
        requestId: call.request.id,
        leaseId: open.wireId,
        renewable: outcome.lease.renewable,
        leaseDurationSeconds,
        data: issued.data,
        warnings
      }),
      view: { data: issued.data, leaseId: open.wireId, warnings },
      confirm: () => open.confirm(issued),
      withdraw: () => open.orphan('the answer was not given', issued)
    }
  }

  /** Wraps a draft where the request asks for it. */
  function seal (call: Call, draft: Draft): Settled | Promise<Settled> {
    const { wrapTtlSeconds } = call.request
    const { json, as, view, confirm = null, withdraw = null } = draft
    if (wrapTtlSeconds !== null && as !== 'absent') return wrap(call, draft, wrapTtlSeconds)
    const response = { kind: 'body', json, ...(as !== undefined && { as }), ...headersOf(draft) } as const
    return { response, view, confirm, withdraw }
  }

  async function wrap (call: Call, draft: Draft, wrapTtlSeconds: number): Promise<Settled> {
    const { path } = call.request
    const { confirm = null, withdraw = null } = draft
    try {
      const wrapped = await wrapping.wrap({
        json: draft.json,
        ttlSeconds: wrapTtlSeconds,
        creationPath: isListing(call.request.operation) ? `${path}/` : path,
        mount: call.mount,
        wrappedAccessor: draft.wrappedAccessor ?? null,
        nowMs: call.nowMs
      })
      return {
        ...wrappedSettled(wrapped.wrapInfo),
        view: { wrapInfo: wrapped.wrapInfo, ...(draft.view.leaseId !== undefined && { leaseId: draft.view.leaseId }) },
        confirm,
        withdraw: async () => {
          await wrapped.withdraw()
          await withdraw?.()
        }
      }
    } catch (error) {
      await withdraw?.()
      throw error
    }
  }

  return { settle }
}

export type Settlement = ReturnType<typeof createSettlement>

const nothingMade = { view: {}, confirm: null, withdraw: null } as const

/** Makes the credential; what went wrong decides what becomes of the intent. */
async function issue (open: OpenLease, make: (leaseId: string) => Promise<Issued>): Promise<Issued> {
  try {
    return await make(open.lease.id)
  } catch (error) {
    if (error instanceof CredentialUncertain) {
      await open.orphan(error.publicMessage)
      throw invalidRequest(`${error.publicMessage}; lease ${open.wireId} is held until the latest possible end of the credential`, error)
    }
    if (error instanceof BrokerError) await open.abandon()
    else await open.orphan('the credential\'s fate is not known')
    throw error
  }
}

function dataDraft (work: Work, outcome: Extract<Outcome, { kind: 'data' }>): Draft {
  const { call, operation } = work
  const { data } = outcome
  const keys = data?.['keys']
  if (operation !== null && isListing(operation.verb) && Array.isArray(keys) && keys.length === 0) throw notFound()
  const warnings = [...(outcome.warnings ?? []), ...work.warnings]
  const mirrored = operation?.mirrored === true
  return {
    json: envelope({ requestId: call.request.id, data, warnings, mirrored, ...outcome.lease }),
    view: { data, warnings, ...(outcome.lease !== undefined && { leaseId: outcome.lease.leaseId }) },
    ...(outcome.as !== undefined && { as: outcome.as }),
    ...headersOf(outcome),
    wrappedAccessor: outcome.wrappedAccessor ?? null
  }
}

function tokenDraft (work: Work, outcome: Extract<Outcome, { kind: 'token' }>): Draft {
  const { auth } = outcome
  const warnings = [...(outcome.warnings ?? []), ...work.warnings]
  return {
    json: envelope({ requestId: work.call.request.id, auth, warnings }),
    view: { auth, warnings },
    wrappedAccessor: outcome.accessor,
    ...(outcome.withdraw !== undefined && { withdraw: outcome.withdraw })
  }
}

function noneSettled (work: Work, outcome: Extract<Outcome, { kind: 'none' }>): Settled {
  const { call } = work
  if (outcome.warnings !== undefined && outcome.warnings.length > 0) {
    const { warnings } = outcome
    const json = envelope({ requestId: call.request.id, warnings: [...warnings, ...work.warnings] })
    return { response: { kind: 'body', json, ...headersOf(outcome) }, ...nothingMade, view: { warnings } }
  }
  const { operation } = call.request
  if (operation === 'read' || isListing(operation)) throw notFound()
  return { response: { kind: 'empty', ...headersOf(outcome) }, ...nothingMade }
}

function wrappedSettled (wrapInfo: JsonObject): Settled {
  const json = envelope({ requestId: '', wrapInfo })
  return { response: { kind: 'body', json }, ...nothingMade, view: { wrapInfo } }
}

function streamSettled ({ request }: Call, stream: EventsFor): Settled {
  if (request.wrapTtlSeconds !== null) throw invalidRequest('a stream of events cannot be wrapped')
  return { response: { kind: 'stream', stream }, ...nothingMade }
}

function headersOf (outcome: { readonly headers?: Readonly<Record<string, string>> }) {
  return outcome.headers === undefined ? {} : { headers: outcome.headers }
}

/** The policies of a login's token (contract 2.4): names folded, sorted, once each, with `default` unless it is refused. */
function loginPolicies (login: Login): string[] {
  const names = new Set(login.policies.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))
  if (names.has('root')) throw invalidRequest('auth methods cannot create root tokens')
  if (names.has('response-wrapping')) throw invalidRequest('cannot assign policy "response-wrapping"')
  if (!login.noDefaultPolicy) names.add('default')
  return [...names].sort()
}
