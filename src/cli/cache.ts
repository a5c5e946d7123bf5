import { createHash } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { isJsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import { fetchCredentials, remainingMs, type Credentials, type End, type Wanted } from './credentials.ts'
import { CallFailure, codeOf } from './failure.ts'
import { hasIdentity, readRoleId } from './identity.ts'
import { withToken } from './kept-token.ts'
import { withLock } from './lock.ts'
import type { Parts } from './parts.ts'
import { findPrivateFile, writePrivateFile } from './private-file.ts'
import type { Broker } from './session.ts'
import { findToken, tokenFileOf } from './tokens.ts'

/** From here on credentials are good for any client: the widest window in which one asks for new ones. */
const wideMs = 15 * 60_000
/** Less is not worth giving: it may end on its way. */
const leastMs = 60_000
/** The longest life of a role session. */
const lifeMsMax = 12 * 3_600_000

/**
 * Credentials for a program that is started again and again: those of its last call while they are good,
 * else new ones, which one process fetches for all that wait (clients 9). Where the broker is not
 * available what still lives is given.
 */
export async function cachedCredentials (
  invocation: Invocation, parts: Parts, broker: Broker, wanted: Wanted
): Promise<Credentials> {
  const file = path.join(cacheFolder(invocation, parts), `${await nameOf(invocation, parts, broker, wanted)}.json`)
  const find = async () => {
    const found = await findPrivateFile(file)
    return found === null ? null : parseKept(found.text, found.writtenAtMs, parts)
  }
  const early = await find()
  if (early !== null && isFresh(early, parts)) return early
  return withLock(file, parts, async () => {
    const kept = await find()
    if (kept !== null && isFresh(kept, parts)) return kept
    try {
      const fetched = await withToken(invocation, parts, broker.client, (token) =>
        fetchCredentials(broker, token, wanted, parts))
      await writePrivateFile(file, JSON.stringify(fetched))
      await sweep(path.dirname(file), parts)
      return fetched
    } catch (error) {
      const isAway = error instanceof CallFailure && error.kind === 'unavailable'
      if (!isAway || kept === null || remainingMs(kept.end, parts) < leastMs) throw error
      parts.screen.say(`${error.message}; what was fetched before still lives`)
      return kept
    }
  })
}

function isFresh ({ lifeMs, end }: Credentials, parts: Parts): boolean {
  return remainingMs(end, parts) > Math.min(wideMs, lifeMs / 3)
}

/** Where credentials are kept: beside the token. */
function cacheFolder (invocation: Invocation, parts: Parts): string {
  return path.join(path.dirname(tokenFileOf(invocation, parts)), 'cache')
}

/** The same for the same broker, role and person; tells nothing. */
async function nameOf (invocation: Invocation, parts: Parts, { client }: Broker, wanted: Wanted): Promise<string> {
  const who = hasIdentity(invocation, parts) ? await readRoleId(invocation, parts) : (await findToken(invocation, parts))?.token ?? ''
  return createHash('sha256').update(JSON.stringify([client.origin, wanted, who])).digest('hex')
}

/** What was kept; null where it is not whole, or the clock was set back since. */
function parseKept (text: string, writtenAtMs: number, parts: Parts): Credentials | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isJsonObject(value) || !isJsonObject(value['end'])) return null
  const { accessKeyId, secretAccessKey, sessionToken, leaseId, lifeMs } = value
  const { wallMs, steadyMs, bootId } = value['end']
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string' || typeof sessionToken !== 'string' || typeof leaseId !== 'string' ||
    typeof lifeMs !== 'number' || typeof wallMs !== 'number' || typeof steadyMs !== 'number' || typeof bootId !== 'string') return null
  const end: End = { wallMs, steadyMs, bootId }
  const isPlausible = remainingMs(end, parts) <= Math.min(lifeMs, lifeMsMax) && parts.now() >= writtenAtMs - 5000
  if (!isPlausible) return null
  parts.screen.hide(secretAccessKey)
  parts.screen.hide(sessionToken)
  return { accessKeyId, secretAccessKey, sessionToken, leaseId, lifeMs, end }
}

const keptFile = /^[0-9a-f]{64}\.json$/

/** Removes what is too old to live. Locks stay: another process may be waiting for one. */
async function sweep (folder: string, parts: Parts): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!keptFile.test(name)) continue
    const file = path.join(folder, name)
    const { mtimeMs } = await stat(file)
    if (parts.now() - mtimeMs > lifeMsMax) await rm(file, { force: true })
  }
}

/** Forgets all credentials that were kept beside the token. */
export async function forgetCredentials (invocation: Invocation, parts: Parts): Promise<void> {
  const folder = cacheFolder(invocation, parts)
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) if (keptFile.test(name)) await rm(path.join(folder, name), { force: true })
}
