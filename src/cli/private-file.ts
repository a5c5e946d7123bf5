import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { codeOf, Failure } from './failure.ts'

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants

/** The largest file of a secret that is read: tokens and credentials are far smaller. */
const secretBytesMax = 65_536
const chunkBytes = 65_536

/** What is in a file of ours. */
export interface PrivateFile {
  readonly text: string
  readonly writtenAtMs: number
}

/**
 * Reads a file of ours that holds a secret; null where there is none.
 *
 * @throws Failure `usage` for a link, another owner, a mode wider than 0600, or what is no file (SEC-332).
 */
export async function findPrivateFile (file: string): Promise<PrivateFile | null> {
  let handle: FileHandle
  try {
    handle = await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw unusable(file, codeOf(error) === 'ELOOP' ? 'it is a symbolic link' : codeOf(error), error)
  }
  try {
    const stats = await handle.stat()
    checkOwn(file, stats)
    if ((stats.mode & 0o077) !== 0) throw unusable(file, 'others may read or change it: run chmod 600 on it')
    return { text: await readWhole(handle, file, secretBytesMax), writtenAtMs: stats.mtimeMs }
  } finally {
    await handle.close()
  }
}

/**
 * Reads a file that somebody gave us, such as a mounted Secret: links are followed.
 *
 * @throws Failure `usage` where it is missing, or where a secret may be read or changed by anybody.
 */
export async function readGivenFile (file: string, content: 'secret' | 'public', bytesMax = secretBytesMax): Promise<string> {
  let handle: FileHandle
  try {
    handle = await open(file, O_RDONLY | O_NONBLOCK)
  } catch (error) {
    throw unusable(file, codeOf(error) === 'ENOENT' ? 'there is no such file' : codeOf(error), error)
  }
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw unusable(file, 'it is no file')
    if (content === 'secret' && (stats.mode & 0o027) !== 0) {
      throw unusable(file, 'anybody may read or change it: run chmod 600 on it, or 640')
    }
    return await readWhole(handle, file, bytesMax)
  } finally {
    await handle.close()
  }
}

/** Makes an empty private file where none is; never replaces one. @throws Failure as `findPrivateFile`. */
export async function ensurePrivateFile (file: string): Promise<void> {
  await preparePrivateFolder(path.dirname(file))
  const handle = await attempt(file, () => open(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600))
  await handle.close()
  await findPrivateFile(file)
}

async function readWhole (handle: FileHandle, file: string, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for (;;) {
    const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(chunkBytes) })
    if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8')
    length += bytesRead
    if (length > bytesMax) throw unusable(file, `it is larger than ${bytesMax} bytes`)
    chunks.push(buffer.subarray(0, bytesRead))
  }
}

/** A private file that is being written: nobody sees it before `commit`. */
export interface Draft {
  /** Puts the text in place of what was there. @throws Failure, and leaves what was there. */
  commit (text: string): Promise<void>
  discard (): Promise<void>
}

/**
 * Begins to write a file of mode 0600 beside its place, so that a full or forbidden disk is known
 * before the secret exists. Its folder is made, 0700, where it is missing.
 *
 * @throws Failure `usage` where something else is in its place, or where others may change the folder.
 */
export async function draftPrivateFile (file: string): Promise<Draft> {
  const folder = path.dirname(file)
  await preparePrivateFolder(folder)
  const former = await lstat(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null
    throw unusable(file, codeOf(error), error)
  })
  if (former !== null) checkOwn(file, former)
  const beside = path.join(folder, `.${path.basename(file)}.${randomBytes(9).toString('base64url')}`)
  const handle = await attempt(file, () => open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600))
  const discard = async () => {
    await handle.close()
    await rm(beside, { force: true })
  }
  return {
    async commit (text) {
      try {
        await attempt(file, async () => {
          await handle.chmod(0o600)
          await handle.writeFile(text)
          await handle.sync()
          await rename(beside, file)
        })
      } catch (error) {
        await discard()
        throw error
      }
      await handle.close()
      await syncFolder(folder)
    },
    discard
  }
}

/** Writes a private file in one step; as `draftPrivateFile`. */
export async function writePrivateFile (file: string, text: string): Promise<void> {
  const draft = await draftPrivateFile(file)
  await draft.commit(text)
}

/** Makes a folder that only its owner may use, or checks that nobody else may change the one that is there. */
export async function preparePrivateFolder (folder: string): Promise<void> {
  await attempt(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }))
  const stats = await attempt(folder, () => lstat(folder))
  if (!stats.isDirectory()) throw unusable(folder, 'it is no folder, or a link to one')
  const mine = stats.uid === process.getuid?.() || stats.uid === 0
  // Where the sticky bit is set, as on /tmp, others cannot touch what is ours.
  if (!mine || ((stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0)) {
    throw unusable(folder, 'others may change what is in it')
  }
}

function checkOwn (file: string, stats: Stats): void {
  if (stats.isSymbolicLink()) throw unusable(file, 'it is a symbolic link')
  if (!stats.isFile()) throw unusable(file, 'it is no file')
  if (stats.uid !== process.getuid?.()) throw unusable(file, 'it belongs to another user')
  if ((stats.mode & 0o7000) !== 0) throw unusable(file, 'it has the setuid, setgid or sticky bit')
}

async function syncFolder (folder: string): Promise<void> {
  const handle = await open(folder, O_RDONLY | O_DIRECTORY)
  await handle.sync().finally(() => handle.close())
}

async function attempt<T> (file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw unusable(file, codeOf(error), error)
  }
}

const plainReasons: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'access to it is denied'],
  ['EPERM', 'access to it is denied'],
  ['EROFS', 'its file system is read-only'],
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the disk is full'],
  ['ENOTDIR', 'a part of its path is no folder']
])

/** Told by a reason in words, or by the system's code. */
function unusable (file: string, reason: string, cause?: unknown): Failure {
  return new Failure('usage', `${file} cannot be used: ${plainReasons.get(reason) ?? reason}`, { cause })
}
