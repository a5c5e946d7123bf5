import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, lstatSync, openSync, realpathSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { AuditDevice, Waiting } from './device.ts'

export interface FileDeviceOptions {
  readonly name: string
  /** Absolute and in its plain form. Its directory has to be there; where it is now is where files are made later. */
  readonly filePath: string
  /** `group`: an entry counts as written once fdatasync ran; entries share it, off the event loop. */
  readonly sync: 'none' | 'group'
}

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * A file of JSON lines that only its owner may read. Refuses to be led elsewhere: no symbolic link,
 * no FIFO or device, no file with other permissions than 0600 or another owner, no second name
 * (SEC-267). Its calls are synchronous: an append to the page cache costs less than handing it over.
 *
 * @throws Error with a plain sentence where the file cannot be what it has to be.
 */
export function openFileDevice ({ name, filePath: givenPath, sync }: FileDeviceOptions): AuditDevice {
  const filePath = realPath(givenPath)
  let fd = openFile(filePath)
  let waiting: Waiting[] = []
  let scheduled = false
  let unsynced: Waiting[] = []
  let syncing = false
  let closed = false
  const torn = { tail: false }

  function writeWaiting (): void {
    scheduled = false
    const lines = waiting
    if (lines.length === 0) return
    waiting = []
    const { written, error } = appendLines(fd, lines, torn)
    for (const each of lines.slice(written)) each.reject(error)
    const done = lines.slice(0, written)
    if (sync === 'none') {
      for (const each of done) each.resolve()
    } else {
      unsynced.push(...done)
      startSync()
    }
  }

  function startSync (): void {
    if (syncing || unsynced.length === 0) return
    const group = unsynced
    unsynced = []
    syncing = true
    fdatasync(fd, (error) => {
      syncing = false
      for (const each of group) {
        if (error === null) each.resolve()
        else each.reject(error)
      }
      startSync()
    })
  }

  /** Resolves when no sync is under way, so that its descriptor may be closed. */
  async function synced (): Promise<void> {
    while (syncing || unsynced.length > 0) await new Promise((resolve) => { setImmediate(resolve) })
  }

  async function reopen (): Promise<void> {
    if (realPath(filePath) !== filePath) throw new Error('the directory of the audit file has moved')
    const next = openFile(filePath)
    await synced()
    // What was handed in until now goes to the former file, and a group is synced where it was written.
    writeWaiting()
    const former = fd
    fd = next
    torn.tail = false
    await synced()
    closeSync(former)
  }

  return {
    name,
    type: 'file',
    options: { file_path: givenPath, mode: '0600' },
    write (line) {
      if (closed) return Promise.reject(new Error('the audit file is closed'))
      return new Promise((resolve, reject) => {
        waiting.push({ line, resolve, reject })
        if (scheduled) return
        scheduled = true
        // Once all that can go on has gone on, and come to its own line.
        process.nextTick(writeWaiting)
      })
    },
    reopen,
    async check () {
      if (!closed && !isOpenAt(fd, filePath)) await reopen()
    },
    async close () {
      if (closed) return
      closed = true
      writeWaiting()
      await synced()
      closeSync(fd)
    }
  }
}

/** The path without symbolic links in its directories, of which the last may be none itself. */
function realPath (filePath: string): string {
  if (!path.isAbsolute(filePath) || path.resolve(filePath) !== filePath) {
    throw new Error('the audit file needs an absolute path in its plain form')
  }
  const directory = path.dirname(filePath)
  if (!lstatSync(directory).isDirectory()) throw new Error('the directory of the audit file must be no symbolic link')
  return path.join(realpathSync(directory), path.basename(filePath))
}

function openFile (filePath: string): number {
  const fd = openSync(filePath, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('the audit file must be a regular file')
    if (stat.nlink !== 1) throw new Error('the audit file must have one name')
    if (stat.uid !== process.geteuid?.()) throw new Error('the audit file must belong to the user of this process')
    if ((stat.mode & 0o777) !== 0o600) throw new Error('the audit file must have the mode 0600')
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function isOpenAt (fd: number, filePath: string): boolean {
  const open = fstatSync(fd)
  const named = statSync(filePath, { throwIfNoEntry: false })
  return named !== undefined && named.ino === open.ino && named.dev === open.dev
}

/**
 * Appends lines with as few calls as the kernel allows. Where it stops in the middle of a line (a
 * full disk), that line is taken off again, so that no reader takes half an entry for one
 * (SEC-269); where that fails too, the next append begins by ending it.
 */
function appendLines (
  fd: number, lines: readonly Waiting[], torn: { tail: boolean }
): { written: number, error: unknown } {
  const start = torn.tail ? '\n' : ''
  let text = start
  for (const { line } of lines) text += `${line}\n`
  const bytes = bytesOf(text)
  let at = 0
  try {
    while (at < bytes.length) at += writeSync(fd, bytes, at)
    torn.tail = false
    return { written: lines.length, error: null }
  } catch (error) {
    const whole = bytes.subarray(0, at).lastIndexOf(0x0A) + 1
    if (at > 0) torn.tail = at > whole && !truncateTail(fd, at - whole)
    let end = start.length
    const written = lines.findIndex(({ line }) => (end += Buffer.byteLength(line) + 1) > whole)
    return { written: written === -1 ? lines.length : written, error }
  }
}

const scratch = Buffer.allocUnsafe(262_144)

/** The bytes of a text, until the next call. */
function bytesOf (text: string): Buffer {
  if (text.length * 3 > scratch.length) return Buffer.from(text, 'utf8')
  return scratch.subarray(0, scratch.write(text, 0, 'utf8'))
}

/** Takes the last bytes off a file. A process that appends to the same file is not expected: its lines would be cut. */
function truncateTail (fd: number, bytes: number): boolean {
  try {
    ftruncateSync(fd, fstatSync(fd).size - bytes)
    return true
  } catch {
    return false
  }
}
