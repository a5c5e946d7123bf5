import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Test } from 'tap'
import { createSweeper } from '../../src/broker/sweep.ts'
import type { Issued } from '../../src/core/backend.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Lease, Mount, Token } from '../../src/core/model.ts'
import type { Store } from '../../src/core/store.ts'
import type { TokenClaims, TokenSigner } from '../../src/core/token-signer.ts'
import { createLeases, type LeasesOptions } from '../../src/leases/lease-manager.ts'
import type { LeaseEngines } from '../../src/leases/ports.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { createRevocation } from '../../src/tokens/revocation.ts'
import { createTokenNames } from '../../src/tokens/token-names.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'

export const noonMs = Date.UTC(2026, 0, 1, 12)

/** A clock that stands still until a test moves it. */
export function manualClock (startMs = noonMs) {
  let nowMs = startMs
  return {
    now: () => nowMs,
    advance (seconds: number) { nowMs += seconds * 1000 }
  }
}

export type ManualClock = ReturnType<typeof manualClock>

export function mountAt (mountPath: string, more: Partial<Mount> = {}): Mount {
  return {
    accessor: `${more.type ?? 'aws'}_${mountPath.replaceAll('/', '-')}`,
    uuid: 'b1a2',
    path: mountPath,
    table: 'secret',
    type: 'aws',
    description: '',
    options: null,
    config: {
      ttlSecondsDefault: 0,
      ttlSecondsMax: 0,
      forceNoCache: false,
      listingVisibility: '',
      auditNonHmacRequestKeys: null,
      auditNonHmacResponseKeys: null,
      passthroughRequestHeaders: null,
      allowedResponseHeaders: null,
      tokenType: null,
      userLockout: null
    },
    local: false,
    sealWrap: false,
    state: 'live',
    rotation: null,
    ...more
  }
}

/** An engine whose credentials are lines in a list. `fate` says what a revocation of it can do. */
export function fakeEngine (fate: 'revoked' | 'expires' = 'expires') {
  const revoked: string[] = []
  const renewed: string[] = []
  let failure: Error | null = null
  const engines: LeaseEngines = {
    async revoke (lease) {
      revoked.push(lease.id)
      if (failure !== null) throw failure
      return fate
    },
    async renew (lease): Promise<JsonObject | null> {
      renewed.push(lease.id)
      if (failure !== null) throw failure
      return null
    }
  }
  return { engines, revoked, renewed, fail: (error: Error | null) => { failure = error } }
}

const plainSigner: TokenSigner = {
  term: () => 1,
  sign: (claims) => `t.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`,
  verify (token) {
    const claims = JSON.parse(Buffer.from(token.slice(2), 'base64url').toString()) as TokenClaims
    return { ...claims, term: 1 }
  }
}

const sqlite = (t: Test): Store => {
  const folder = mkdtempSync(path.join(tmpdir(), 'latchkey-leases-'))
  const store = openSqliteStore({ location: path.join(folder, 'store.db') })
  t.teardown(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })
  return store
}

/** The stores that every guarantee is tested on. */
export const stores: Readonly<Record<string, (t: Test) => Store>> = { memory: () => createMemoryStore(), sqlite }

export interface RigOptions {
  readonly store: Store
  readonly clock?: ManualClock
  readonly engine?: ReturnType<typeof fakeEngine>
  readonly mounts?: Mount[]
  readonly leases?: Partial<LeasesOptions>
}

interface NewToken {
  readonly parent?: Token
  readonly ttlSeconds?: number
  readonly runId?: string
  readonly path?: string
  readonly policies?: readonly string[]
}

interface NewLease {
  readonly path?: string
  readonly renewable?: boolean
  readonly ttlSeconds?: number
  readonly ttlSecondsMax?: number
}

/** Leases and tokens as a broker has them: real stores, real tokens, a sweep that runs when told to. */
export function createRig ({ store, clock = manualClock(), engine = fakeEngine(), ...options }: RigOptions) {
  const mounts = options.mounts ?? [mountAt('aws'), mountAt('approle', { table: 'auth', type: 'approle' })]
  const names = createTokenNames({ term: () => 1, mac: (term, text) => createHmac('sha256', `key ${term}`).update(text).digest() })
  const tokens = createTokenStore({ store, signer: plainSigner, names })
  const errors: unknown[] = []
  const texts = new Map<string, string>()
  const ending = createRevocation({
    store,
    nudge: () => {},
    endBelongings: async (accessor) => { await leases.endOf(accessor) }
  })
  const leases = createLeases({
    store,
    clock,
    engines: engine.engines,
    mounts: {
      all: () => mounts,
      byAccessor: (accessor) => mounts.find((mount) => mount.accessor === accessor) ?? null,
      ttlBounds: ({ config }) => ({
        ttlSecondsDefault: config.ttlSecondsDefault || 2_764_800,
        ttlSecondsMax: config.ttlSecondsMax || 2_764_800
      })
    },
    tokens: { findByAccessor: tokens.findByAccessor, revoke: ending.revoke },
    nudge: () => {},
    ratePerSecond: 1e6,
    ...options.leases
  })
  const sweeper = createSweeper({
    store,
    clock,
    handlers: new Map([...leases.handlers, ['token', ending.expire], ['dying', ending.bury]]),
    onError: (_, error) => errors.push(error)
  })

  /** Sweeps until nothing is due: what one pass queues, the next does. */
  async function sweep (): Promise<void> {
    while (await sweeper.sweep() > 0);
  }

  async function token (more: NewToken = {}): Promise<Token> {
    const tokenPath = more.path ?? 'auth/approle/login'
    const made = await tokens.create({
      parent: more.parent ?? null,
      listedAs: 'login',
      kind: 'service',
      path: tokenPath,
      mountAccessor: mounts.find((mount) => mount.table === 'auth')?.accessor ?? 'none',
      displayName: 'approle',
      policies: more.policies ?? ['default'],
      metadata: more.runId === undefined ? null : { run_id: more.runId },
      issuedAtMs: clock.now(),
      expiresAtMs: clock.now() + (more.ttlSeconds ?? 86_400) * 1000,
      endsAtMs: null,
      creationTtlSeconds: 86_400,
      explicitMaxTtlSeconds: 0,
      periodSeconds: 0,
      renewable: true,
      usesMax: 0,
      boundCidrs: [],
      orphan: more.parent === undefined,
      role: null,
      renewal: null
    }, clock.now())
    texts.set(made.token.accessor, made.clientToken)
    return made.token
  }

  const open = (owner: Token, more: NewLease = {}) => {
    const { path: at = 'aws/sts/deploy', renewable = false, ttlSeconds = 3600, ttlSecondsMax = 0 } = more
    const mount = mounts.find((candidate) => at.startsWith(`${candidate.path}/`)) ?? mountAt('aws')
    return leases.open({
      token: owner,
      mount,
      path: at,
      request: { ttlSeconds, ttlSecondsMax, renewable },
      revocation: (leaseId) => ({ sessionName: `run.${leaseId.slice(-8)}` }),
      nowMs: clock.now()
    })
  }

  const issued = (lease: Lease, ttlSeconds = 3600): Issued => ({
    data: {},
    expiresAtMs: clock.now() + ttlSeconds * 1000,
    revocation: { sessionName: `run.${lease.id.slice(-8)}`, accessKeyId: `ASIA${lease.id.slice(-8)}` }
  })

  /** A lease whose credential was handed out: its wire id. */
  async function vend (owner: Token, more: NewLease = {}): Promise<string> {
    const lease = await open(owner, more)
    await lease.confirm(issued(lease.lease, more.ttlSeconds))
    return lease.wireId
  }

  async function sessionsOf (filter: Parameters<typeof leases.sessions>[0] = {}) {
    return (await leases.sessions(filter, { after: '', limit: 1000 })).sessions
  }

  const textOf = (token: Token) => texts.get(token.accessor) ?? ''

  const acts = { sweep, token, textOf, open, issued, vend, sessionsOf }
  return { store, clock, engine, mounts, tokens, ending, leases, errors, ...acts }
}

export type Rig = ReturnType<typeof createRig>
