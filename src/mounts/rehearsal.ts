import { randomBytes } from 'node:crypto'
import type { Mount } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { StoreConflict, type Entry, type Store } from '../core/store.ts'
import type { MountTable } from './mount-table.ts'

/** Who calls, as far as it outlives a token. */
export interface Client {
  /** Of a token that an AppRole login made, or of one below it. */
  readonly role: string | null
  readonly secretIdAccessor: string | null
  /** The token itself, where no secret_id is known. */
  readonly tokenAccessor: string | null
  readonly address: string
}

/** A client of a mount, as it was last seen. */
export interface SeenClient extends Client {
  readonly lastSeenAtMs: number
  /** The newest slot whose name it used. */
  readonly slot: number
  /** The newest slot whose name the resolver told it; 0: none. */
  readonly resolvedSlot: number
}

/**
 * Remembers, within bounds, which clients use a mount by a name that rotates. Each broker keeps its
 * own part in memory and writes it beside the mount's data now and then; a question reads all parts.
 */
export interface Rehearsal {
  used (mount: Mount, client: Client, slot: number, nowMs: number): void
  resolved (mount: Mount, client: Client, nowMs: number): void
  /** Whether this broker saw the client use this slot's name, or a later one. */
  knows (mount: Mount, client: Client, slot: number): boolean
  /** All clients of a mount that any broker remembers, each once. */
  clients (mount: Mount): Promise<SeenClient[]>
  /** Writes what changed. Call it every few seconds. */
  share (nowMs: number): Promise<void>
  /** The sweeper's handler for parts that nobody has written for a week. */
  forget (entries: readonly Entry[], nowMs: number): Promise<void>
}

/** Clients of one mount, and mounts. */
const clientsMax = 500
const mountsMax = 500
const keptMs = 7 * 86_400_000
/** Each may hold some hundred kilobytes, and every start of a broker leaves one behind. */
const partsAtOnce = 20
const folder = 'names-seen'

interface Part { readonly atMs: number, readonly clients: readonly SeenClient[] }

interface Page { readonly mount: Mount, readonly clients: Map<string, SeenClient>, dirty: boolean }

export function createRehearsal (
  { mounts, store }: { readonly mounts: Pick<MountTable, 'storeOf' | 'byAccessor'>, readonly store: Store }
): Rehearsal {
  const self = randomBytes(8).toString('hex')
  const pages = new Map<string, Page>()

  function pageOf (mount: Mount): Page | null {
    const known = pages.get(mount.accessor)
    if (known !== undefined) return known
    if (pages.size >= mountsMax) return null
    const page = { mount, clients: new Map(), dirty: false }
    pages.set(mount.accessor, page)
    return page
  }

  function note (mount: Mount, client: Client, change: (former: SeenClient | undefined) => SeenClient): void {
    const page = pageOf(mount)
    if (page === null) return
    const id = idOf(client)
    const former = page.clients.get(id)
    page.clients.delete(id)
    page.clients.set(id, change(former))
    page.dirty = true
    const oldest = page.clients.keys().next()
    if (page.clients.size > clientsMax && oldest.done !== true) page.clients.delete(oldest.value)
  }

  async function write (page: Page, nowMs: number): Promise<void> {
    page.dirty = false
    try {
      await writePart(page, nowMs)
    } catch (error) {
      page.dirty = true
      throw error
    }
  }

  async function writePart (page: Page, nowMs: number): Promise<void> {
    const path = `${folder}/${self}`
    const part: Part = { atMs: nowMs, clients: [...page.clients.values()] }
    const own = mounts.storeOf(page.mount)
    const value = encodeRecord(part)
    await own.commit([{ op: 'put', key: own.key(path), value, names: [path], dueAtMs: nowMs + keptMs }])
  }

  return {
    used (mount, client, slot, nowMs) {
      note(mount, client, (former) => ({
        ...client,
        lastSeenAtMs: nowMs,
        slot: Math.max(slot, former?.slot ?? 0),
        resolvedSlot: former?.resolvedSlot ?? 0
      }))
    },
    resolved (mount, client, nowMs) {
      note(mount, client, (former) => ({
        ...client,
        lastSeenAtMs: former?.lastSeenAtMs ?? nowMs,
        slot: former?.slot ?? 0,
        resolvedSlot: mount.rotation?.slot ?? 0
      }))
    },
    knows: (mount, client, slot) => {
      const seen = pages.get(mount.accessor)?.clients.get(idOf(client))
      return seen !== undefined && seen.slot >= slot
    },
    async clients (mount) {
      const own = mounts.storeOf(mount)
      const merged = new Map<string, SeenClient>()
      const merge = (seen: SeenClient) => merged.set(idOf(seen), newer(merged.get(idOf(seen)), seen))
      for (let after: string | undefined; ;) {
        const named = await own.list(`${folder}/`, { limit: partsAtOnce, ...(after !== undefined && { after }) })
        const entries = named.length === 0 ? [] : await own.get(named.map(({ name }) => `${folder}/${name}`))
        for (const entry of entries) if (entry !== null) decodeRecord<Part>(entry.value).clients.forEach(merge)
        after = named.at(-1)?.name
        if (named.length < partsAtOnce) break
      }
      pages.get(mount.accessor)?.clients.forEach(merge)
      return [...merged.values()].sort((a, b) => b.lastSeenAtMs - a.lastSeenAtMs)
    },
    async share (nowMs) {
      const failures: unknown[] = []
      for (const [accessor, page] of pages) {
        if (mounts.byAccessor(accessor) === null) pages.delete(accessor)
        else if (page.dirty) await write(page, nowMs).catch((error: unknown) => { failures.push(error) })
      }
      if (failures.length > 0) throw failures[0]
    },
    async forget (entries) {
      for (const { key, stamp } of entries) {
        await store.commit([{ op: 'delete', key, expect: stamp }]).catch((error: unknown) => {
          // Its broker wrote it anew.
          if (!(error instanceof StoreConflict)) throw error
        })
      }
    }
  }
}

function idOf ({ role, secretIdAccessor, tokenAccessor, address }: Client): string {
  return JSON.stringify([role, secretIdAccessor, tokenAccessor, address])
}

function newer (a: SeenClient | undefined, b: SeenClient): SeenClient {
  if (a === undefined) return b
  const later = a.lastSeenAtMs > b.lastSeenAtMs ? a : b
  return { ...later, slot: Math.max(a.slot, b.slot), resolvedSlot: Math.max(a.resolvedSlot, b.resolvedSlot) }
}
