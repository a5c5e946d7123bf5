import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { giveToJob, masksOf } from '../../src/cli/github.ts'
import { createFolder } from '../helpers/broker.ts'
import { testParts } from './rig.ts'

/** What a runner masks: each text after ::add-mask::, its escapes undone. */
const maskedOf = (out: string) => out.split('\n').filter((line) => line.startsWith('::add-mask::'))
  .map((line) => line.slice('::add-mask::'.length).replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%'))

/** What a log shows once these texts are masked in it, line by line. */
const shown = (log: string, masks: readonly string[]) => log.split('\n')
  .map((line) => [...masks].sort((a, b) => b.length - a.length).reduce((text, mask) => text.replaceAll(mask, '***'), line)).join('\n')

const secrets = [
  'correct horse', 'with%percent and 100%25', '-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n+/=abcdef\n-----END KEY-----\n', 'trailing newline\n', 'windows\r\nlines\r\n',
  'quote"back\\slash', 'a+b/c=d&e', 'ünïcødé-键-🔑', 'IQoJb3JpZ2luX2Vj+/zcvUrd7bJWIrZN7Zx=', '  padded  '
]

t.test('SEC-340 every line of a secret and its usual encodings are masked', async (t) => {
  for (const secret of secrets) {
    const { texts, isPartial } = masksOf(secret)
    t.notOk(isPartial)
    const lines = secret.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== '')
    for (const line of lines) t.notOk(shown(`x ${line} y`, texts).includes(line), JSON.stringify(line))
    t.notOk(lines.some((line) => shown(JSON.stringify({ a: secret }), texts).includes(JSON.stringify(line).slice(1, -1))), 'as JSON')
    t.notOk(shown(encodeURIComponent(secret), texts).includes(encodeURIComponent(secret)), 'as a part of a URL')
    for (const around of ['', 'u', 'us', 'user:', 'aws:key:']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${around}${secret}${around}`).toString(encoding)
        t.ok(shown(encoded, texts).includes('***'), `as ${encoding} after ${around}`)
        const rest = shown(encoded, texts).split('***').map((part) => Buffer.from(part, encoding).toString('latin1'))
        t.notOk(rest.some((part) => part.length > around.length + 4 && Buffer.from(secret).toString('latin1').includes(part)), 'nothing longer stays')
      }
    }
  }
})

t.test('SEC-340 of a secret that is JSON each text is masked for itself, as a later step takes it out', async (t) => {
  const { texts } = masksOf(JSON.stringify({ db: { password: 'CNRY"one', hosts: ['CNRYtwo', 'x\nCNRYthree'], pin: 84_236_117 } }))
  const log = shown('CNRY"one CNRYtwo\nCNRYthree 84236117', texts)
  t.equal(log, '*** ***\n*** ***')
})

t.test('SEC-340 what is too short to be masked is told, and not passed over in silence', async (t) => {
  for (const secret of ['x', 'abc', 'long enough\nab\nlong enough', '']) {
    const { texts, isPartial } = masksOf(secret)
    t.equal(isPartial, secret !== '')
    t.ok(texts.every((text) => text.length >= 4))
  }
})

t.test('SEC-340 masks are printed before anything is written, and values arrive whole', async (t) => {
  const folder = createFolder(t)
  const file = path.join(folder, 'env')
  writeFileSync(file, 'BEFORE=1\n')
  const { parts, written, said } = testParts({ GITHUB_ENV: file })
  let atMask = ''
  const screen = { ...parts.screen, out: async (text: string) => {
    atMask ||= readFileSync(file, 'utf8')
    written.push(text)
  } }
  const variables = secrets.map((value, i) => [`SECRET_${i}`, value] as const)
  await giveToJob([...variables, ['PIN', '12'], ['REGION', 'eu-west-1']], new Set([...variables.map(([name]) => name), 'PIN']), { env: parts.env, screen })
  t.equal(atMask, 'BEFORE=1\n')
  t.strictSame(said, ['latchkey: PIN has a line of fewer than 4 characters, which cannot be masked: it may appear in the log\n'])
  const masks = maskedOf(written.join(''))
  t.ok(written.join('').split('\n').every((line) => line === '' || line.startsWith('::add-mask::')), 'nothing else is printed')
  t.notOk(masks.includes('eu-west-1'), 'a region is no secret')
  // As the runner reads the file: NAME<<END, lines, END.
  const read = new Map<string, string>()
  const lines = readFileSync(file, 'utf8').split('\n').slice(1)
  for (let i = 0; i < lines.length; i++) {
    const [name = '', end = ''] = (lines[i] ?? '').split('<<')
    if (end === '') continue
    const value = []
    while (lines[++i] !== end && i < lines.length) value.push(lines[i])
    read.set(name, value.join('\n'))
  }
  t.strictSame([...read], [...variables, ['PIN', '12'], ['REGION', 'eu-west-1']])
  t.equal(new Set([...readFileSync(file, 'utf8').matchAll(/END_[0-9a-f]{36}/g)].map(([end]) => end)).size, variables.length + 2, 'each has an end of its own')
})

t.test('outside of a job nothing is printed, and a link is not written to', async (t) => {
  const outside = testParts()
  await t.rejects(giveToJob([['A', 'secret']], new Set(['A']), outside.parts), /GITHUB_ENV is not set/)
  t.strictSame(outside.written, [])
  const folder = createFolder(t)
  writeFileSync(path.join(folder, 'victim'), '')
  symlinkSync(path.join(folder, 'victim'), path.join(folder, 'link'))
  await t.rejects(giveToJob([['A', 'secret']], new Set(['A']), testParts({ GITHUB_ENV: path.join(folder, 'link') }).parts), /cannot be written: ELOOP/)
})
