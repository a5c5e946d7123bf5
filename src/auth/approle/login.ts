import { randomBytes } from 'node:crypto'
import { operation, type Call, type Login, type Operation, type Outcome } from '../../core/backend.ts'
import { addressInBlocks, shortBlock } from '../../core/cidr.ts'
import { invalidRequest, type BrokerError } from '../../core/errors.ts'
import { strictText } from '../../core/fields.ts'
import { uuidFromMac } from '../../core/ids.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import type { Change, Entry, Store } from '../../core/store.ts'
import { checkSubset, type Role } from './role.ts'
import { decodeRole, roleIndexPath, rolePath, type Mac, type RoleIndex } from './role-store.ts'
import { lastUseKey, liveSecretId, secretIdKey, spentCheckKey, type LastUse, type SecretId } from './secret-id.ts'
import type { SecretIdStore } from './secret-id-store.ts'

/** One answer for every way not to know a role or a secret_id (SEC-050). */
function invalidPair (): BrokerError {
  return invalidRequest('invalid role or secret ID')
}

/** What an AppRole token needs at its renewal. */
export interface Renewal {
  readonly role: string
  readonly incarnation: string
  /** The secret_id that it logged in with, for whoever has to end all that came of it; null: the role binds none. */
  readonly secretIdAccessor: string | null
}

export interface LoginOptions {
  readonly store: Store
  readonly secretIds: Pick<SecretIdStore, 'accessorOf'>
  readonly mac: Mac
}

const fields = {
  role_id: strictText('The role_id of the role'),
  secret_id: strictText('A secret_id of the role; needed where the role binds one')
}

/** What the records say about a pair. */
interface Found {
  readonly role: Role | null
  readonly secretId: SecretId | null
}

/** `<mount>/login` (contract 2.4): turns a role_id and a secret_id into what the token will be. */
export function createLoginOperation ({ store, secretIds, mac }: LoginOptions): Operation {
  const guesses = createGuesses()
  const lastUses = createLastUses()

  /**
   * Reads index, role and secret_id in one trip. Where the role's incarnation is guessed from an
   * earlier login what the index says decides, and a wrong guess costs a second trip. An unknown
   * role_id makes the calls that a known one makes (CRY-024).
   */
  async function find (call: Call, roleId: string, secretId: string): Promise<Found> {
    const mountAccessor = call.mount.accessor
    const indexPath = roleIndexPath(mac, mountAccessor, roleId)
    const keysOf = (target: RoleIndex) => [
      call.store.key(rolePath(target.name)),
      secretIdKey(secretIds.accessorOf({ mountAccessor, incarnation: target.incarnation }, secretId))
    ]
    const guessName = `${mountAccessor}/${indexPath}`
    const guess = guesses.get(guessName)
    const [index = null, ...guessed] = await store.get([call.store.key(indexPath), ...keysOf(guess)])
    if (index === null) return { role: null, secretId: null }
    const target = decodeRecord<RoleIndex>(index.value)
    const isRight = target.name === guess.name && target.incarnation === guess.incarnation
    if (!isRight) guesses.set(guessName, target)
    return judge(isRight ? guessed : await store.get(keysOf(target)), { ...target, roleId }, call.nowMs)
  }

  function admit (call: Call, { role, secretId }: Found, isSecretIdEmpty: boolean): Login {
    const { remoteAddress } = call.request
    if (role === null) throw invalidPair()
    if (role.bindSecretId && isSecretIdEmpty) throw invalidRequest('missing secret_id')
    if (role.bindSecretId && secretId === null) throw invalidPair()
    const bound = role.bindSecretId ? secretId : null
    if (bound !== null) checkSource(role, bound, remoteAddress)
    if (role.secretIdBoundCidrs.length > 0 && !addressInBlocks(remoteAddress, role.secretIdBoundCidrs)) {
      throw invalidRequest(`source address "${remoteAddress}" unauthorized by CIDR restrictions on the role`)
    }
    return {
      ...tokenTerms(call, role, bound?.accessor ?? null),
      metadata: { ...bound?.metadata, role_name: role.name },
      boundCidrs: boundCidrs(role, bound, remoteAddress),
      ...bound !== null && {
        shard: bound.accessor.slice(0, 2),
        changes: changesOf(bound, { atMs: call.nowMs, from: remoteAddress }),
        refusal: invalidPair
      }
    }
  }

  /**
   * What must hold, and happens, in the very commit that makes the token: the secret_id that was
   * judged is there or has a use left. Whatever refuses a login stands before, so that no refusal
   * takes a use (SEC-054).
   */
  function changesOf (secretId: SecretId, use: LastUse): Change[] {
    const { accessor, stamp, numUses } = secretId
    const secret = secretIdKey(accessor)
    if (numUses === 1) {
      return [{ op: 'delete', key: secret, expect: stamp }, { op: 'delete', key: lastUseKey(accessor) }]
    }
    const note: Change[] = lastUses.isDue(accessor, use.atMs)
      ? [{ op: 'put', key: lastUseKey(accessor), value: encodeRecord(use) }]
      : []
    if (numUses === 0) return [{ op: 'check', key: secret, expect: stamp }, ...note]
    const check = { key: spentCheckKey(accessor), value: encodeRecord({}), dueAtMs: use.atMs + spentCheckDelayMs }
    return [{ op: 'use', key: secret }, { op: 'put', ...check }, ...note]
  }

  return operation({
    verb: 'write',
    path: 'login',
    access: 'public',
    summary: 'Logs in with a role_id and a secret_id.',
    fields,
    async run (call, input): Promise<Outcome> {
      const roleId = (input.role_id ?? '').trim()
      const secretId = (input.secret_id ?? '').trim()
      if (roleId === '') throw invalidRequest('missing role_id')
      const found = await find(call, roleId, secretId)
      return { kind: 'login', login: admit(call, found, secretId === '') }
    }
  })
}

/** Logins in a row move one look, instead of each asking for its own. */
const spentCheckDelayMs = 5_000

/**
 * The records as one. The role is not there when its role_id moved between the reads; the secret_id's
 * key is made from the role's incarnation, so what is found there is the role's.
 */
function judge (entries: readonly (Entry | null)[], target: RoleIndex & { roleId: string }, nowMs: number): Found {
  const [roleEntry = null, secretEntry = null] = entries
  const role = decodeRole(roleEntry)
  if (role?.incarnation !== target.incarnation || role.roleId !== target.roleId) return { role: null, secretId: null }
  return { role, secretId: liveSecretId(secretEntry, nowMs) }
}

function checkSource (role: Role, secretId: SecretId, address: string): void {
  checkSubset(role.secretIdBoundCidrs, secretId.cidrList)
  checkSubset(role.tokenBoundCidrs, secretId.tokenBoundCidrs)
  const isStrayToken = role.tokenStrictlyBindIp && isOutside(address, secretId.tokenBoundCidrs)
  if (isStrayToken || isOutside(address, secretId.cidrList)) {
    throw invalidRequest(`source address "${address}" unauthorized through CIDR restrictions on the secret ID`)
  }
}

function isOutside (address: string, blocks: readonly string[]): boolean {
  return blocks.length > 0 && !addressInBlocks(address, blocks)
}

/** The narrowest of: the address of the login, the secret_id's blocks, the role's. */
function boundCidrs (role: Role, secretId: SecretId | null, address: string): readonly string[] {
  if (role.tokenStrictlyBindIp) return [address]
  const own = secretId?.tokenBoundCidrs ?? []
  return own.length > 0 ? own.map(shortBlock) : role.tokenBoundCidrs
}

function tokenTerms ({ mount }: Call, role: Role, secretIdAccessor: string | null) {
  const forced = mount.config.tokenType
  const isBatch = forced === 'batch' || (forced === 'default-batch' && role.tokenType === 'default')
  if (isBatch) throw invalidRequest('invalid \'token_type\' value "batch"')
  const renewal: Renewal = { role: role.name, incarnation: role.incarnation, secretIdAccessor }
  return {
    policies: role.tokenPolicies,
    noDefaultPolicy: role.tokenNoDefaultPolicy,
    displayName: mount.path.replaceAll('/', '-'),
    ttlSeconds: role.tokenTtlSeconds,
    ttlSecondsMax: role.tokenMaxTtlSeconds,
    explicitMaxTtlSeconds: role.tokenExplicitMaxTtlSeconds,
    periodSeconds: role.tokenPeriodSeconds,
    usesMax: role.tokenNumUses,
    tokenType: 'service',
    renewal: { ...renewal },
    ...role.groupsTokens === true && { group: role.incarnation }
  }
}

/** Entries kept in memory by role_id and by secret_id; the oldest go first. */
const rememberedMax = 10_000

function remember<V> (map: Map<string, V>, name: string, value: V): void {
  map.delete(name)
  map.set(name, value)
  const oldest = map.keys().next()
  if (map.size > rememberedMax && oldest.done !== true) map.delete(oldest.value)
}

/**
 * Which role a role_id led to last time. It says where to look, never what is there; for a role_id
 * that led nowhere it names a role that no mount has.
 */
function createGuesses () {
  const known = new Map<string, RoleIndex>()
  const nowhere: RoleIndex = { name: '-', incarnation: uuidFromMac(randomBytes(32)) }
  return {
    get: (name: string): RoleIndex => known.get(name) ?? nowhere,
    set: (name: string, target: RoleIndex) => remember(known, name, target)
  }
}

const lastUseIntervalMs = 1_000

/** Whether the last use of a secret_id is to be written: at most once a second for each. */
function createLastUses () {
  const writtenAtMs = new Map<string, number>()
  return {
    isDue (accessor: string, nowMs: number): boolean {
      const last = writtenAtMs.get(accessor)
      if (last !== undefined && nowMs - last < lastUseIntervalMs) return false
      remember(writtenAtMs, accessor, nowMs)
      return true
    }
  }
}
