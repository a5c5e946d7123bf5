import t from 'tap'
import { parseTarget } from '../../src/core/path.ts'
import { encodePath, encodeQuery, parsePath } from '../../src/cli/paths.ts'
import { json, latchkey, startImpostor } from './rig.ts'

const hostile = [
  '../../sys/raw/x', 'a/../b', 'a/./b', 'a//b', '/a', 'a/', 'a%2fb', 'a/%2e%2e/b', 'a%00b', 'a\\b', 'a\u0000b', 'a\nb', 'a\u200bb', ' a', 'a ',
  'e\u0301', 'a\u202eb', '', '/', '\ud800', `${'a/'.repeat(1100)}b`
]

t.test('SEC-339 a path that the broker would refuse is refused here', async (t) => {
  for (const text of hostile) {
    t.throws(() => parsePath(text), { name: 'Failure', kind: 'usage' }, JSON.stringify(text).slice(0, 40))
    t.ok(parseTarget(`/v1/${text}`) instanceof Error || text === '/a' || text === 'a/' || text === 'a//b' || text === '' || text === '/', 'and there')
  }
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: {} }))
  const env = { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' }
  for (const words of [['read', '../../sys/raw/x'], ['list', 'a//b'], ['delete', 'a%2fb'], ['write', 'a/..'], ['resolve', '..']]) {
    t.match(await latchkey(t, words, { env }), { code: 2, words: /this is no path/ })
  }
  t.strictSame(broker.seen, [], 'nothing was asked')
})

t.test('SEC-339 what is a path reaches the broker as the same segments, whatever characters it has', async (t) => {
  for (const text of ['a?b', 'a#b', 'a b', 'a&b=c', 'a+b', 'ünïcode/键', 'a;b', 'a@b:c', '100%', '~a/!*\'()', '"a"/<b>', '__proto__/constructor']) {
    const target = parseTarget(`/v1/${encodePath(parsePath(text))}`)
    t.notOk(target instanceof Error, text)
    if (!(target instanceof Error)) t.strictSame([target.path, Object.keys(target.query)], [text, []])
  }
  t.strictSame(parsePath('a/b/', { mayEndInSlash: true }), ['a', 'b'])
  t.equal(encodeQuery({ ttl: '15m', role_arn: 'a&b=c', none: null }), '?ttl=15m&role_arn=a%26b%3Dc')
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: {} }))
  await latchkey(t, ['read', 'a?x=1/b#c', '--no-resolve', '--parameter', 'version=2&list=true'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } })
  t.strictSame(broker.seen, ['GET /v1/a%3Fx%3D1/b%23c?version=2%26list%3Dtrue'])
})
