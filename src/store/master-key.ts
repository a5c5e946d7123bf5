import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import {
  closeSync, constants, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, unlinkSync,
  writeSync
} from 'node:fs'
import path from 'node:path'
import { lengthPrefixed, open, seal } from './seal.ts'

const MASTER_KEY_BYTES = 32

/** Where the master key comes from; part of what is sealed, so no store moves to a weaker one. */
export type SealMode = 'dev' | 'file' | 'env' | 'aws-kms'

/** Seals and opens the root key, and nothing else; a key management service can stand behind it. */
export interface KeySealer {
  readonly mode: SealMode
  seal (rootKey: Uint8Array, clusterId: string): Promise<Buffer>
  /** @throws Error when it was sealed for another cluster, in another mode or under another key. */
  unseal (sealed: Uint8Array, clusterId: string): Promise<Buffer>
}

/**
 * A sealer by the 32 bytes of a file. `create` makes the file, 0600, when it is missing; several
 * processes that do so at once end up with one key.
 *
 * @throws Error in plain words for a missing file, a symbolic link, another owner, a mode that lets
 * others read, and another size.
 */
export function masterKeyFile (
  location: string, options: { readonly create: boolean }
): KeySealer {
  if (options.create) createKeyFile(location)
  return sealerOf(readKeyFile(location), 'file')
}

/**
 * A sealer by 32 bytes in base64 under `name` of `environment`, from which it is removed. It stays
 * visible to those who may read this process's start environment: a file is better.
 *
 * @throws Error in plain words when the variable is missing or of another size.
 */
export function masterKeyVariable (
  environment: Record<string, string | undefined>, name: string
): KeySealer {
  const text = environment[name] ?? ''
  Reflect.deleteProperty(environment, name)
  const key = Buffer.from(text, 'base64')
  const isExact = key.toString('base64') === text.trim()
  if (!isExact || key.length !== MASTER_KEY_BYTES) {
    key.fill(0)
    throw new Error(`${name} has to hold ${MASTER_KEY_BYTES} bytes in base64`)
  }
  return sealerOf(key, 'env')
}

/** A sealer by a key that dies with the process. */
export function masterKeyInMemory (): KeySealer {
  return sealerOf(randomBytes(MASTER_KEY_BYTES), 'dev')
}

/** Takes the bytes over and wipes them. */
function sealerOf (bytes: Buffer, mode: SealMode): KeySealer {
  const key: KeyObject = createSecretKey(bytes)
  bytes.fill(0)
  const context = (clusterId: string) => lengthPrefixed(['latchkey/root/v1', clusterId, mode])
  return {
    mode,
    async seal (rootKey, clusterId) { return seal(key, rootKey, context(clusterId)) },
    async unseal (sealed, clusterId) { return open(key, sealed, context(clusterId)) }
  }
}

function readKeyFile (location: string): Buffer {
  const descriptor = openKeyFile(location)
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error(`the master key ${location} is not a file`)
    if (process.getuid !== undefined && stats.uid !== process.getuid()) {
      throw new Error(`the master key ${location} belongs to another user`)
    }
    if ((stats.mode & 0o077) !== 0) {
      throw new Error(`the master key ${location} may be read by others: run chmod 600 on it`)
    }
    const key = Buffer.alloc(MASTER_KEY_BYTES)
    if (stats.size !== key.length || readSync(descriptor, key) !== key.length) {
      throw new Error(`the master key ${location} has to be ${MASTER_KEY_BYTES} bytes long`)
    }
    return key
  } finally {
    closeSync(descriptor)
  }
}

function openKeyFile (location: string): number {
  try {
    return openSync(location, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    const reason = reasonOf(error)
    throw new Error(`the master key ${location} cannot be read: ${reason}`, { cause: error })
  }
}

function reasonOf (error: unknown): string {
  const code = codeOf(error)
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'ELOOP') return 'it is a symbolic link'
  return code
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

/** Writes beside and links: the file appears whole, and never in place of one that is there. */
function createKeyFile (location: string): void {
  const folder = path.dirname(location)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const beside = `${location}.${randomBytes(8).toString('hex')}`
  const descriptor = openSync(beside, 'wx', 0o600)
  const key = randomBytes(MASTER_KEY_BYTES)
  try {
    writeSync(descriptor, key)
    fsyncSync(descriptor)
    linkSync(beside, location)
    syncFolder(folder)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    key.fill(0)
    closeSync(descriptor)
    unlinkSync(beside)
  }
}

function syncFolder (folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY)
  fsyncSync(descriptor)
  closeSync(descriptor)
}
