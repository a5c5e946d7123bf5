import t from 'tap'
import { createClientAddress, plainAddress, sourceOf } from '../../plugins/client-address.ts'

t.test('SEC-062 only addresses and ranges may be trusted, and never everyone', async (t) => {
  for (const proxy of ['true', '1', 'proxy.example', 'localhost', '', '10.0.0', '10.0.0.0/33', '0.0.0.0/0', '::/0', '10.0.0.0/8/8', '0x7f.0.0.1', 'fe80::1%eth0', '10.0.0.0/x', true, 1, null]) {
    t.throws(() => createClientAddress([proxy as string]), String(proxy))
  }
  for (const proxy of ['10.0.0.1', '10.0.0.0/8', '2001:db8::1', '2001:db8::/32', '::ffff:10.0.0.1']) t.doesNotThrow(() => createClientAddress([proxy]), proxy)
})

t.test('SEC-060 SEC-298 an IPv4 address mapped into IPv6 is IPv4, in every place', async (t) => {
  t.equal(plainAddress('::ffff:10.1.0.5'), '10.1.0.5')
  t.equal(plainAddress('::FFFF:0a01:0005'), '10.1.0.5')
  t.equal(plainAddress('2001:0db8:0:0:0:0:0:1'), '2001:db8::1')
  const { find, isTrusted } = createClientAddress(['::ffff:10.0.0.1'])
  t.ok(isTrusted('10.0.0.1') && isTrusted('::ffff:10.0.0.1'))
  t.notOk(isTrusted('10.0.0.2') || isTrusted('') || isTrusted('::a00:1'))
  t.equal(find('10.0.0.1', '::ffff:1.2.3.4'), '1.2.3.4')
})

t.test('SEC-061 without a trusted peer the header means nothing, garbage included', async (t) => {
  t.equal(createClientAddress([]).find('1.2.3.4', 'garbage'), '1.2.3.4')
  t.equal(createClientAddress(['10.0.0.1']).find('1.2.3.4', '5.6.7.8'), '1.2.3.4')
})

t.test('SEC-298 one source is an IPv4 address or a /64', async (t) => {
  t.equal(sourceOf('10.0.0.1'), '10.0.0.1')
  t.equal(sourceOf('2001:db8:1:2::1'), sourceOf('2001:db8:1:2:ffff:ffff:ffff:ffff'))
  t.not(sourceOf('2001:db8:1:2::1'), sourceOf('2001:db8:1:3::1'))
})
