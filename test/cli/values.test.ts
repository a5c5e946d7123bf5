import path from 'node:path'
import t from 'tap'
import { textOf } from '../helpers/broker.ts'
import { python } from './programs.ts'
import { canary, startBench, startProgram } from './rig.ts'

t.setTimeout(120_000)

t.test('secrets', async (t) => {
  const bench = await startBench(t)
  const { broker, run } = bench
  await broker.must('POST', 'sys/mounts/secret', { body: { type: 'kv', options: { version: '2' } } })
  const { client_token: token } = await broker.tokenFor('path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }\npath "sys/wrapping/wrap" { capabilities = ["update"] }')
  const env = { LATCHKEY_TOKEN_FILE: bench.file('token', `${token}\n`) }

  await t.test('are written from standard input or a file, and read whole or field by field, digits and all', async (t) => {
    const data = { user: 'app', password: 's3cret', lines: 'a\nb', none: null, list: ['x'] }
    t.match(await run(['write', 'secret/data/app'], { env, input: JSON.stringify({ data }) }), { code: 0, out: /^version +1$/m })
    const file = bench.file('data.json', '{"data":{"exact":9007199254740993,"rate":1.10}}')
    t.match(await run(['write', 'secret/data/exact', `@${file}`, '--field', 'version'], { env }), { code: 0, out: '1' })
    t.match(await run(['read', 'secret/data/exact', '--field', 'exact'], { env }), { code: 0, out: '9007199254740993' })
    t.match((await run(['read', 'secret/data/exact', '--format', 'json'], { env })).out, /"rate": 1\.10$/m)
    t.match(await run(['read', 'secret/data/app', '--field', 'lines'], { env }), { code: 0, out: 'a\nb', words: '' })
    t.match((await run(['read', 'secret/data/app'], { env })).out, /^user +app$/m)
    t.match((await run(['read', 'secret/data/app'], { env })).out, /^lines +a\\u000ab$/m)
    t.match(JSON.parse((await run(['read', 'secret/data/app', '--format', 'json'], { env })).out), { data: { data, metadata: { version: 1 } } })
    t.match(await run(['read', 'secret/data/app', '--field', 'constructor'], { env }), { code: 4, words: /no such field/ })
    t.equal((await run(['write', 'secret/data/app'], { env, input: '{"data":{"user":"other"}}' })).code, 0)
    t.match(await run(['read', 'secret/data/app', '--parameter', 'version=1', '--field', 'user'], { env }), { code: 0, out: 'app' })
    t.match(JSON.parse((await run(['list', 'secret/metadata/', '--format', 'json'], { env })).out), ['app', 'exact'])
    t.equal((await run(['delete', 'secret/data/app'], { env })).code, 0)
    t.match(await run(['read', 'secret/data/app'], { env }), { code: 4, words: /GET secret\/data\/app: there is nothing \(404\)/ })
  })

  await t.test('data that is no JSON object is refused before anything is asked, and not repeated', async (t) => {
    const secret = canary()
    for (const input of [secret, `["${secret}"]`, `{"a":${secret}}`]) {
      const { code, words } = await run(['write', 'secret/data/app'], { env, input })
      t.equal(code, 2)
      t.notMatch(words, 'CNRY')
    }
  })

  await t.test('an answer may be wrapped on its way', async (t) => {
    const { out } = await run(['write', 'sys/wrapping/wrap', '--wrap', '60s', '--field', 'token'], { env, input: '{"value":"inside"}' })
    const opened = await broker.must('POST', 'sys/wrapping/unwrap', { token: out })
    t.equal(textOf(opened, 'value'), 'inside')
  })

  await t.test('SEC-337 on a terminal a value is escaped; elsewhere it is what was written', async (t) => {
    const value = 'x\u001b]52;c;ZXZpbA==\u0007y'
    await run(['write', 'secret/data/evil'], { env, input: JSON.stringify({ data: { value } }) })
    t.equal((await run(['read', 'secret/data/evil', '--field', 'value'], { env })).out, value)
    if (python === null) return
    const main = path.join(import.meta.dirname, '../../src/cli/main.ts')
    const shown = await startProgram(t, [python, path.join(import.meta.dirname, 'terminal.py'), process.execPath, main, 'read', 'secret/data/evil', '--field', 'value'],
      { env: { ...bench.env, ...env } }).ended
    const typed = await startProgram(t, [python, path.join(import.meta.dirname, 'terminal.py'), process.execPath, main, 'write', 'secret/data/evil'],
      { env: { ...bench.env, ...env } }).ended
    t.match(typed, { code: 2, out: /standard input is a terminal/ })
    t.match(shown, { code: 0, out: /^x\\u001b\]52;c;ZXZpbA==\\u0007y\r?\n$/ })
  })

  await t.test('status tells where the broker is and how far its clock is ahead', async (t) => {
    const { out } = await run(['status', '--format', 'json'])
    t.match(JSON.parse(out), { address: broker.address, clock_ahead_seconds: Number })
    await broker.stop()
    t.match(await run(['status']), { code: 5, words: /nobody answers at/ })
  })
})
