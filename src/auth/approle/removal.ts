import type { Call } from '../../core/backend.ts'
import type { Clock } from '../../core/clock.ts'
import { decodeRecord } from '../../core/records.ts'
import { key, mountShard, pathOf, shardOf, StoreConflict, type Change, type Entry, type Store } from '../../core/store.ts'
import { createRoleStore, decodeRole, deletedRolePath, rolePath, type Mac } from './role-store.ts'
import { liveSecretId, secretIdKey, secretIdsPrefix, type SecretIdRecord } from './secret-id.ts'
import type { SecretIdStore } from './secret-id-store.ts'

/** Deletes a role, then its secret_ids; nothing where there is none. */
export type RoleRemover = (call: Call, name: string) => Promise<void>

/** Deals with due records; what it leaves comes due again. */
export type DueHandler = (entries: readonly Entry[], nowMs: number) => Promise<void>

/** Everything that takes secret_ids away. */
export interface Removal {
  readonly removeRole: RoleRemover
  /** Deletes the role of this name if it is of this incarnation, and in any case the incarnation's secret_ids. Repeatable. */
  endRole (at: Pick<Call, 'store' | 'mount' | 'nowMs'>, name: string, incarnation: string): Promise<void>
  /** By the first word of a due record's path. */
  readonly dueHandlers: ReadonlyMap<string, DueHandler>
  /** Removes what no login can use any more from a mount; never what one can (SEC-077). */
  tidy (mountAccessor: string): Promise<void>
  /** Removes all secret_ids of a mount. Repeatable. */
  removeMount (mountAccessor: string): Promise<void>
}

export interface RemovalOptions {
  readonly store: Store
  readonly secretIds: SecretIdStore
  readonly mac: Mac
  readonly clock: Clock
}

export function createRemoval ({ store, secretIds, mac, clock }: RemovalOptions): Removal {
  /**
   * The role goes first, with the record that remembers the rest: from then on nobody finds its
   * incarnation. Then its secret_ids, before the answer, so that a login which read the role
   * earlier meets their absence in its commit.
   */
  async function removeRole ({ store: mountStore, mount, nowMs }: Call, name: string): Promise<void> {
    const role = await createRoleStore(mountStore, mac, mount.accessor).remove(name, nowMs)
    if (role !== null) await finishRole(mount.accessor, role.incarnation)
  }

  async function finishRole (mountAccessor: string, incarnation: string): Promise<void> {
    await secretIds.removeAll(secretIdsPrefix(mountAccessor, incarnation))
    await store.commit([{ op: 'delete', key: key(mountShard(mountAccessor), deletedRolePath(incarnation)) }])
  }

  async function removeExpired (entries: readonly Entry[], nowMs: number): Promise<void> {
    await secretIds.remove(entries.filter((entry) => liveSecretId(entry, nowMs) === null))
  }

  /** After uses of counted secret_ids: spent ones go, the others are looked at again after their next use. */
  async function removeSpent (checks: readonly Entry[], nowMs: number): Promise<void> {
    const present = await store.get(checks.map((check) => secretIdKey(lastSegment(check.key))))
    await removeExpired(present.filter((entry) => entry !== null), nowMs)
    await Promise.all(checks.map((check) => ignoringConflict({ op: 'delete', key: check.key, expect: check.stamp })))
  }

  /** A login that came between renewed the record; that one stays. */
  async function ignoringConflict (change: Change): Promise<void> {
    try {
      await store.commit([change])
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error
    }
  }

  async function finishRoles (entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      await finishRole(shardOf(entry.key).slice('m-'.length), lastSegment(entry.key))
    }
  }

  /**
   * The secret_ids were read before the roles are: one whose role is not there now belongs to a
   * role that is gone for good, since no incarnation comes twice.
   */
  async function withoutRole (mountAccessor: string, entries: readonly Entry[]): Promise<Entry[]> {
    const records = entries.map((entry) => ({ entry, record: decodeRecord<SecretIdRecord>(entry.value) }))
    const names = [...new Set(records.map(({ record }) => record.roleName))]
    const roles = await store.get(names.map((name) => key(mountShard(mountAccessor), rolePath(name))))
    const living = new Set(roles.map((entry) => decodeRole(entry)?.incarnation))
    return records.filter(({ record }) => !living.has(record.incarnation)).map(({ entry }) => entry)
  }

  return {
    removeRole,
    async endRole ({ store: mountStore, mount, nowMs }, name, incarnation) {
      await createRoleStore(mountStore, mac, mount.accessor).remove(name, nowMs, incarnation)
      await finishRole(mount.accessor, incarnation)
    },
    dueHandlers: new Map([['secret', removeExpired], ['secret-spent', removeSpent], ['role-gone', finishRoles]]),
    async tidy (mountAccessor) {
      for await (const entries of secretIds.pages(secretIdsPrefix(mountAccessor))) {
        const nowMs = clock.now()
        const dead = entries.filter((entry) => liveSecretId(entry, nowMs) === null)
        const orphans = await withoutRole(mountAccessor, entries)
        await secretIds.remove([...new Set([...dead, ...orphans])])
      }
    },
    removeMount: (mountAccessor) => secretIds.removeAll(secretIdsPrefix(mountAccessor))
  }
}

function lastSegment (text: string): string {
  const path = pathOf(text)
  return path.slice(path.lastIndexOf('/') + 1)
}
