import { createHmac, randomBytes } from 'node:crypto'
import { createAppRoleMethod, type AppRoleMethod } from '../../../src/auth/approle/method.ts'
import type { Mac } from '../../../src/auth/approle/role-store.ts'
import { createBroker, type AuditTrail } from '../../../src/broker/broker.ts'
import { createGate } from '../../../src/broker/gate.ts'
import { createOperationTable } from '../../../src/broker/operation-table.ts'
import { createSettlement } from '../../../src/broker/settlement.ts'
import { createSweeper } from '../../../src/broker/sweep.ts'
import type { Operation, Verb } from '../../../src/core/backend.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { requestPrefix, type Mount } from '../../../src/core/model.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import type { Store } from '../../../src/core/store.ts'
import type { TokenClaims, TokenSigner } from '../../../src/core/token-signer.ts'
import { createMountStore } from '../../../src/mounts/mount-store.ts'
import { rootAcl } from '../../../src/policies/acl.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { createSecretIdOperations } from '../../../src/system/secret-ids.ts'
import { createRevocation } from '../../../src/tokens/revocation.ts'
import { createTokenNames } from '../../../src/tokens/token-names.ts'
import { createTokenStore } from '../../../src/tokens/token-store.ts'
import { manualClock, mountAt, type ManualClock } from '../../leases/rig.ts'
import { sealed } from '../../store/sealed.ts'

/** What a broker answered. */
export interface Answer {
  /** `ok`, `empty`, `accepted`, `absent`, or the code of the refusal. */
  readonly as: string
  readonly error: string
  readonly data: JsonObject
  readonly auth: JsonObject
  readonly warnings: readonly string[]
}

export interface RigOptions {
  readonly store?: Store
  readonly clock?: ManualClock
  readonly mounts?: readonly Mount[]
  readonly ttlSecondsMax?: number
  readonly audit?: AuditTrail
}

interface Ask {
  readonly from?: string
  readonly token?: string | null
}

export const approle = mountAt('approle', { table: 'auth', type: 'approle' })
export const otherMount = mountAt('team/other', { table: 'auth', type: 'approle' })
const sys = mountAt('sys', { type: 'system' })

const signer: TokenSigner = {
  term: () => 1,
  sign: (claims) => `t.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`,
  verify (token) {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as TokenClaims
    return { ...claims, term: 1 }
  }
}

const silent: AuditTrail = { recordRequest: async () => {}, recordResponse: async () => {} }
const macKey = 'one key for all brokers'

/** A broker with AppRole mounts behind the real door: gate, settlement, tokens, sweep. Two may share a store. */
export function createRig (options: RigOptions = {}) {
  const { clock = manualClock(), mounts = [approle, otherMount, sys], audit = silent } = options
  const { ttlSecondsMax = 2_764_800 } = options
  const store = options.store ?? sealed(createMemoryStore())
  let macs = 0
  const hmac: Mac = (...parts) => {
    macs += 1
    return createHmac('sha256', macKey).update(JSON.stringify(parts)).digest()
  }
  const errors: unknown[] = []
  const method = createAppRoleMethod({ store, hmac, clock, onError: (error) => errors.push(error) })
  const tokens = createTokenStore({
    store,
    signer,
    names: createTokenNames({ term: () => 1, mac: (term, text) => createHmac('sha256', `token ${term}`).update(text).digest() })
  })
  const revocation = createRevocation({ store, endBelongings: async () => {}, nudge: () => {} })
  const findMount = (path: string) => mounts.find((mount) => path.startsWith(requestPrefix(mount))) ?? null
  const secretIds = createSecretIdOperations({
    secretIds: method.secretIds,
    mounts: {
      find: (table, path) => mounts.find((mount) => mount.table === table && mount.path === path) ?? null,
      byAccessor: (accessor) => mounts.find((mount) => mount.accessor === accessor) ?? null
    }
  })
  const backends: Readonly<Record<string, { operations: readonly Operation[] }>> = {
    approle: method, system: { operations: secretIds }
  }
  const gate = createGate({
    mounts: {
      resolve (path) {
        const mount = findMount(path)
        return mount === null ? null : { mount, rest: path.slice(requestPrefix(mount).length), reached: { by: 'stable', slot: 0 } }
      },
      ttlBounds: () => ({ ttlSecondsDefault: ttlSecondsMax, ttlSecondsMax }),
      storeOf: (mount) => createMountStore(store, mount.accessor)
    },
    backends ({ type }) {
      const operations = backends[type]?.operations
      if (operations === undefined) return null
      const backend = { type, description: '', operations }
      return { backend, table: createOperationTable(operations) }
    },
    tokens,
    aclFor: () => rootAcl,
    revision: { freshen: () => undefined }
  })
  const revokeToken = revocation.revoke
  const settlement = createSettlement({
    tokens,
    revokeToken,
    leases: { open: async () => { throw new Error('no leases here') } },
    wrapping: { wrap: async () => { throw new Error('no wrapping here') } },
    now: clock.now
  })
  const broker = createBroker({ clock, gate, settlement, audit, revokeToken, observe: () => {} })
  const sweeper = createSweeper({
    store,
    clock,
    handlers: new Map([...method.dueHandlers, ['token', revocation.expire], ['dying', revocation.bury]]),
    onError: (kind, error) => errors.push(kind, error)
  })
  const operatorToken = `operator-${randomBytes(8).toString('hex')}`
  const ready = createOperator()

  async function createOperator (): Promise<void> {
    await tokens.create({
      parent: null,
      kind: 'service',
      path: 'auth/token/root',
      listedAs: 'root',
      mountAccessor: 'token_1',
      displayName: 'root',
      policies: ['root'],
      metadata: null,
      issuedAtMs: clock.now(),
      expiresAtMs: null,
      endsAtMs: null,
      creationTtlSeconds: 0,
      explicitMaxTtlSeconds: 0,
      periodSeconds: 0,
      renewable: false,
      usesMax: 0,
      boundCidrs: [],
      orphan: true,
      role: null,
      renewal: null,
      chosenId: operatorToken
    }, clock.now())
  }

  /** Sends a request through the door as the operator, or as `token`. What is no refusal is thrown on. */
  async function ask (verb: Verb, path: string, data: JsonObject = {}, { from = '127.0.0.1', token }: Ask = {}): Promise<Answer> {
    await ready
    const nothing = { error: '', data: {}, auth: {}, warnings: [] }
    try {
      const response = await broker.handle({
        id: 'r',
        receivedAtMs: clock.now(),
        verb,
        head: false,
        path,
        clientToken: token === undefined ? operatorToken : token,
        data,
        bodyText: null, accept: '', ifNoneMatch: '',
        remoteAddress: from,
        remotePort: 1,
        socketAddress: from,
        wrapTtlSeconds: null,
        refusal: null
      })
      if (response.kind === 'stream' || response.kind === 'text') throw new Error('nothing here answers so')
      if (response.kind === 'empty') return { ...nothing, as: response.as ?? 'empty' }
      const body = JSON.parse(response.json) as Partial<Answer>
      return { as: response.as ?? 'ok', error: '', data: body.data ?? {}, auth: body.auth ?? {}, warnings: body.warnings ?? [] }
    } catch (error) {
      if (error instanceof BrokerError) return { ...nothing, as: error.code, error: error.message }
      throw error
    }
  }

  const at = (path: string) => `auth/${path}`
  async function role (name: string, data: JsonObject = {}, mount = 'approle'): Promise<string> {
    const answer = await ask('write', at(`${mount}/role/${name}`), data)
    if (answer.error !== '') throw new Error(answer.error)
    const { role_id: roleId } = (await ask('read', at(`${mount}/role/${name}/role-id`))).data
    return String(roleId)
  }
  async function secretId (name: string, data: JsonObject = {}, mount = 'approle') {
    const answer = await ask('write', at(`${mount}/role/${name}/secret-id`), data)
    if (answer.error !== '') throw new Error(answer.error)
    return { secretId: String(answer.data['secret_id']), accessor: String(answer.data['secret_id_accessor']) }
  }
  function login (roleId: unknown, secretId?: unknown, { from = '127.0.0.1', mount = 'approle' } = {}): Promise<Answer> {
    const data = JSON.parse(JSON.stringify({ role_id: roleId, secret_id: secretId })) as JsonObject
    return ask('write', at(`${mount}/login`), data, { from, token: null })
  }

  return {
    store, clock, method, tokens, errors, ask, role, secretId, login,
    sweep: () => sweeper.sweep(),
    renew: (renewal: JsonObject) => renewAt(method, store, clock.now(), renewal),
    macCount: () => macs
  }
}

export type Rig = ReturnType<typeof createRig>

function renewAt (method: AppRoleMethod, store: Store, nowMs: number, renewal: JsonObject) {
  return method.renew({ mount: approle, store: createMountStore(store, approle.accessor), nowMs }, renewal)
}
