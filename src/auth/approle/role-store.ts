import type { MountStore } from '../../core/backend.ts'
import { BrokerError, invalidRequest, unsupportedPath } from '../../core/errors.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { retryConflicts } from '../../core/retry.ts'
import { StoreConflict, type Change, type Entry } from '../../core/store.ts'
import type { Role } from './role.ts'

/** HMAC-SHA256 under the AppRole key over its parts, each behind its length (CRY-021). */
export type Mac = (...parts: string[]) => Buffer

/** Where a role_id leads. */
export interface RoleIndex {
  readonly name: string
  readonly incarnation: string
}

/** The path of a role's record. */
export function rolePath (name: string): string {
  return `role/${name}`
}

/** The path of the record that leads from a role_id to its role (CRY-028). */
export function roleIndexPath (mac: Mac, mountAccessor: string, roleId: string): string {
  return `role-id/${mac('role-id', mountAccessor, roleId).toString('hex')}`
}

/** The path of the record that keeps a deletion going until the role's secret_ids are gone. */
export function deletedRolePath (incarnation: string): string {
  return `role-gone/${incarnation}`
}

/** A role as its record holds it. */
export function decodeRole (entry: Entry | null): Role | null {
  return entry === null ? null : decodeRecord<Role>(entry.value)
}

const nameLengthMax = 1024

/**
 * A role's name in lower case, as it is kept (contract 2, SEC-059).
 *
 * @throws BrokerError `unsupported path` for a text that no role can have as its name.
 */
export function parseRoleName (raw: string | undefined): string {
  if (raw === undefined || raw.length > nameLengthMax || !/^\w(?:[\w.-]*\w)?$/.test(raw)) throw unsupportedPath()
  return raw.toLowerCase()
}

/** How a path answers where its role is not there; it differs from path to path (contract 2.3). */
export type MissingRole = 'failed' | 'invalid_request' | 'not_found'

/** What clients match on where a role is named that is not there (contract 2.3). */
export function noSuchRole (code: MissingRole, name: string): BrokerError {
  return new BrokerError(code, `role ${JSON.stringify(name)} does not exist`)
}

/** The roles of one mount. Each change is by compare-and-set, so none is lost. */
export interface RoleStore {
  find (name: string): Promise<Role | null>
  /**
   * Replaces a role by what `change` makes of it; null from `change` leaves it. Answers what `change` made.
   *
   * @throws BrokerError when the role_id is another role's, or when others keep changing the role.
   */
  change (name: string, change: (role: Role | null) => Role | null): Promise<Role | null>
  /**
   * Removes a role with its index, and leaves a due record by which its secret_ids go. Null where there
   * is none, or none of this incarnation where one is named.
   */
  remove (name: string, nowMs: number, incarnation?: string): Promise<Role | null>
  /** Names in order, up to `limit` where it is given. */
  list (page: { readonly after?: string | undefined, readonly limit?: number | undefined }): Promise<string[]>
}

const pageLimit = 1000
/** The deletion itself removes the secret_ids; should its process die, the sweep takes over then. */
const takeoverMs = 60_000

export function createRoleStore (store: MountStore, mac: Mac, mountAccessor: string): RoleStore {
  const indexKey = (roleId: string) => store.key(roleIndexPath(mac, mountAccessor, roleId))
  const roleKey = (name: string) => store.key(rolePath(name))

  async function read (name: string): Promise<Entry | null> {
    const [entry = null] = await store.get([rolePath(name)])
    return entry
  }

  function putRole (role: Role, former: Entry | null): Change {
    const { name } = role
    const expect = former?.stamp ?? 'absent'
    return { op: 'put', key: roleKey(name), value: encodeRecord(role), expect, names: [rolePath(name)] }
  }

  /** The role_id's index, written only where it changes, and only where nobody has it. */
  function moveIndex (role: Role, former: Role | null): Change[] {
    if (role.roleId === former?.roleId) return []
    const index: RoleIndex = { name: role.name, incarnation: role.incarnation }
    const put: Change = { op: 'put', key: indexKey(role.roleId), value: encodeRecord(index), expect: 'absent' }
    return former === null ? [put] : [put, { op: 'delete', key: indexKey(former.roleId) }]
  }

  async function commit (role: Role, entry: Entry | null): Promise<void> {
    const former = decodeRole(entry)
    try {
      await store.commit([putRole(role, entry), ...moveIndex(role, former)], { strong: true })
    } catch (error) {
      if (error instanceof StoreConflict && error.index > 0) throw invalidRequest('role_id already in use', error)
      throw error
    }
  }

  return {
    async find (name) { return decodeRole(await read(name)) },
    change: (name, change) => retryConflicts(async () => {
      const entry = await read(name)
      const role = change(decodeRole(entry))
      if (role !== null) await commit(role, entry)
      return role
    }),
    remove: (name, nowMs, incarnation) => retryConflicts(async () => {
      const entry = await read(name)
      const role = decodeRole(entry)
      if (entry === null || role === null) return null
      if (incarnation !== undefined && role.incarnation !== incarnation) return null
      await store.commit([
        { op: 'delete', key: roleKey(name), expect: entry.stamp },
        { op: 'delete', key: indexKey(role.roleId) },
        { op: 'put', key: store.key(deletedRolePath(role.incarnation)), value: encodeRecord({}), dueAtMs: nowMs + takeoverMs }
      ], { strong: true })
      return role
    }),
    async list ({ after, limit = 0 }) {
      const names: string[] = []
      for (let last = after; ;) {
        const wanted = limit > 0 ? Math.min(pageLimit, limit - names.length) : pageLimit
        const page = await store.list('role/', { limit: wanted, ...last !== undefined && last !== '' && { after: last } })
        names.push(...page.map(({ name }) => name))
        last = page.at(-1)?.name
        if (page.length < wanted || names.length === limit) return names
      }
    }
  }
}
