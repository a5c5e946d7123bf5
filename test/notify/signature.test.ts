import t from 'tap'
import { drawSecret, parseSecret, replaced, secretText, signatureHeaders } from '../../src/notify/signature.ts'

const dayMs = 86_400_000

t.test('signs as the published example of Standard Webhooks', async (t) => {
  const secret = parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  t.strictSame(signatureHeaders({ id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' }, [secret], 1_614_265_330_999), {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  })
})

t.test('a drawn secret has 256 bits, and comes back as it was given out', async (t) => {
  const drawn = drawSecret()
  t.match(secretText(drawn), /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.strictSame(parseSecret(secretText(drawn)), drawn)
  t.not(drawSecret().key, drawn.key)
})

t.test('what is no secret of 24 to 64 bytes in its one form is refused, without being repeated', async (t) => {
  const bytes = (n: number) => `whsec_${Buffer.alloc(n, 7).toString('base64')}`
  for (const bad of ['', 'whsec_', 'x', bytes(23), bytes(65), bytes(32).slice(6), `${bytes(32)}=`, `${bytes(24)} `, `whsec_${Buffer.alloc(32, 255).toString('base64url')}`]) {
    t.throws(() => parseSecret(bad), { code: 'invalid_request', message: 'a secret is whsec_ and 24 to 64 bytes in base64' }, bad)
  }
  for (const good of [bytes(24), bytes(32), bytes(64)]) t.ok(parseSecret(good))
})

t.test('a replaced secret signs for 24 hours, and a few of them at most', async (t) => {
  const [first, second, third] = [drawSecret(), drawSecret(), drawSecret()]
  const two = replaced([first], second, 1000)
  const signatures = (secrets: typeof two, nowMs: number) => signatureHeaders({ id: 'i', body: 'b' }, secrets, nowMs)['webhook-signature']?.split(' ') ?? []
  t.equal(signatures(two, 1000 + dayMs - 1).length, 2)
  t.strictSame(signatures(two, 1000 + dayMs), signatures([second], 1000 + dayMs))
  t.strictSame(replaced(two, third, 2000 + dayMs).map(({ key }) => key), [third.key, second.key], 'what has ended is forgotten')
  let many = [first]
  for (let n = 0; n < 10; n++) many = replaced(many, drawSecret(), 2000 + n)
  t.equal(many.length, 4)
})
