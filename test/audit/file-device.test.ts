import { execFileSync } from 'node:child_process'
import {
  chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, statSync,
  symlinkSync, truncateSync, unlinkSync, writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { openFileDevice } from '../../src/audit/file-device.ts'

function directoryFor (t: { teardown: (done: () => void) => void }): string {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'audit-test-')))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

function open (directory: string, sync: 'none' | 'group' = 'none', name = 'audit.log') {
  const filePath = path.join(directory, name)
  return { filePath, device: openFileDevice({ name: 'file', filePath, sync }) }
}

function lines (filePath: string): string[] {
  return readFileSync(filePath, 'utf8').split('\n').slice(0, -1)
}

for (const sync of ['none', 'group'] as const) {
  t.test(`sync ${sync}: lines are in the file, in their order, when their promises resolve`, async (t) => {
    const { device, filePath } = open(directoryFor(t), sync)
    await device.write('first é')
    t.strictSame(lines(filePath), ['first é'])
    await Promise.all(Array.from({ length: 1000 }, (_, n) => device.write(`line ${n}`).then(() => {
      if (lines(filePath).includes(`line ${n}`)) return
      t.fail(`line ${n} was said to be written`)
    })))
    t.strictSame(lines(filePath).slice(1), Array.from({ length: 1000 }, (_, n) => `line ${n}`))
    t.equal(statSync(filePath).mode & 0o777, 0o600)
    const last = device.write('last')
    await device.close()
    await last
    t.equal(lines(filePath).at(-1), 'last', 'closing writes what waits')
    await t.rejects(device.write('late'))
    await device.close()
  })
}

t.test('a second start appends', async (t) => {
  const directory = directoryFor(t)
  for (const line of ['a', 'b']) {
    const { device } = open(directory)
    await device.write(line)
    await device.close()
  }
  t.strictSame(lines(path.join(directory, 'audit.log')), ['a', 'b'])
})

t.test('SEC-267 a file that leads elsewhere or is readable by others is refused', async (t) => {
  const directory = directoryFor(t)
  const at = (name: string): string => path.join(directory, name)
  const refused = (filePath: string, message: string | RegExp): void => {
    t.throws(() => openFileDevice({ name: 'file', filePath, sync: 'none' }), { message }, filePath)
  }
  writeFileSync(at('target'), '', { mode: 0o600 })
  symlinkSync(at('target'), at('symlink'))
  refused(at('symlink'), /ELOOP/)
  symlinkSync(at('nowhere'), at('dangling'))
  refused(at('dangling'), /ELOOP/)
  t.notOk(existsSync(at('nowhere')))
  execFileSync('mkfifo', ['-m', '600', at('fifo')])
  refused(at('fifo'), /ENXIO|regular file/)
  mkdirSync(at('folder'))
  refused(at('folder'), /EISDIR/)
  refused('/dev/null', 'the audit file must be a regular file')
  for (const mode of [0o777, 0o644, 0o700, 0o640]) {
    writeFileSync(at('open'), '')
    chmodSync(at('open'), mode)
    refused(at('open'), 'the audit file must have the mode 0600')
  }
  linkSync(at('target'), at('second'))
  refused(at('target'), 'the audit file must have one name')
  for (const filePath of ['audit.log', '../x', `${directory}/../x`, `${directory}//x`, `${directory}/`]) {
    refused(filePath, 'the audit file needs an absolute path in its plain form')
  }
  symlinkSync(directory, at('linked'))
  refused(at('linked/audit.log'), /no symbolic link/)
  refused(at('absent/audit.log'), /ENOENT/)
  if (process.getuid?.() !== 0) return
  execFileSync('chown', ['65534', at('folder')])
  writeFileSync(at('folder/foreign'), '', { mode: 0o600 })
  execFileSync('chown', ['65534', at('folder/foreign')])
  refused(at('folder/foreign'), 'the audit file must belong to the user of this process')
})

t.test('SEC-271 every line is there once over rename with reopen, copytruncate and deletion', async (t) => {
  const directory = directoryFor(t)
  const { device, filePath } = open(directory)
  let next = 0
  const write = (count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, () => device.write(String(next++))))
  const kept: string[] = []

  const first = write(2000)
  renameSync(filePath, `${filePath}.1`)
  await Promise.all([first, write(1000), device.reopen(), write(1000)])
  await write(1000)
  kept.push(...lines(`${filePath}.1`), ...lines(filePath))
  t.ok(existsSync(filePath), 'a new file under the old name')

  truncateSync(filePath, 0)
  await write(1000)
  const afterTruncation = lines(filePath)
  t.equal(afterTruncation.length, 1000, 'appended from the start, no hole of NULs')
  kept.push(...afterTruncation)

  unlinkSync(filePath)
  await device.check()
  t.ok(existsSync(filePath), 'a deleted file is noticed')
  await write(4000)
  kept.push(...lines(filePath))
  await device.check()
  await device.close()
  t.strictSame(kept.map(Number).sort((a, b) => a - b), Array.from({ length: next }, (_, n) => n))
})

t.test('with group sync a rotation loses no line either', async (t) => {
  const { device, filePath } = open(directoryFor(t), 'group')
  const writes: Promise<void>[] = []
  for (let n = 0; n < 20; n++) {
    writes.push(device.write(String(n)))
    if (n % 5 === 0) {
      if (existsSync(filePath)) renameSync(filePath, `${filePath}.${n}`)
      await device.reopen()
    }
  }
  await Promise.all(writes)
  await device.close()
  const all = [0, 5, 10, 15].flatMap((n) => lines(`${filePath}.${n}`)).concat(lines(filePath))
  t.strictSame(all, Array.from({ length: 20 }, (_, n) => String(n)))
})

t.test('a file that cannot be opened again is reported, and the open one stays in use', async (t) => {
  const { device, filePath } = open(directoryFor(t))
  await device.write('a')
  renameSync(filePath, `${filePath}.1`)
  symlinkSync('/dev/null', filePath)
  await t.rejects(device.reopen(), { code: 'ELOOP' })
  await t.rejects(device.check(), { code: 'ELOOP' })
  await device.write('b')
  t.strictSame(lines(`${filePath}.1`), ['a', 'b'])
  await device.close()
})

/** A file system of 64 KiB, where this process may make one; else a sentence why not. */
function smallFileSystem (t: { teardown: (done: () => void) => void }): string | { readonly why: string } {
  const directory = directoryFor(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', directory], { stdio: 'ignore' })
    t.teardown(() => { execFileSync('umount', ['-l', directory]) })
    return directory
  } catch {
    return { why: 'this process may not mount a small file system, so a full disk was not tried' }
  }
}

t.test('SEC-269 a full file system refuses lines, leaves none torn, and serves again when there is room', async (t) => {
  const directory = smallFileSystem(t)
  if (typeof directory !== 'string') {
    t.pass(directory.why, { skip: directory.why })
    return
  }
  const { device, filePath } = open(directory)
  const line = (n: number): string => JSON.stringify({ n, text: 'x'.repeat(700) })
  const accepted: number[] = []
  const refused: number[] = []
  const wrongCodes = new Set<unknown>()
  async function write (n: number): Promise<void> {
    try {
      await device.write(line(n))
      accepted.push(n)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) wrongCodes.add(error)
      refused.push(n)
    }
  }
  for (let n = 0; n < 40; n += 10) await Promise.all(Array.from({ length: 10 }, (_, m) => write(n + m)))
  await Promise.all(Array.from({ length: 1000 }, (_, n) => write(100 + n)))
  t.ok(accepted.length > 50 && refused.length > 900, `${accepted.length} written, ${refused.length} refused`)
  t.equal(wrongCodes.size, 0)
  const inFile = (): number[] => lines(filePath).map((each) => JSON.parse(each).n)
  t.strictSame(inFile(), accepted, 'exactly the accepted lines, whole')
  t.ok(readFileSync(filePath, 'utf8').endsWith('\n'))

  renameSync(filePath, `${filePath}.1`)
  writeFileSync(`${filePath}.1`, '')
  await device.reopen()
  const before = accepted.length
  await Promise.all(Array.from({ length: 20 }, (_, n) => write(2000 + n)))
  t.strictSame(inFile(), accepted.slice(before), 'served again')
  t.equal(accepted.length - before, 20)
  await device.close()
})
