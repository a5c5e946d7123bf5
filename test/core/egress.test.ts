import t from 'tap'
import { checkedLookup, createResolve } from '../../src/core/egress.ts'

t.test('FLT-056 a name whose servers are silent holds one place, however many ask for it, and others go on', async (t) => {
  const asked: string[] = []
  let release = () => {}
  const silent = new Promise<void>((resolve) => { release = resolve })
  const find = createResolve(2, async (hostname) => {
    asked.push(hostname)
    if (hostname === 'silent.example') await silent
    if (hostname === 'missing.example') throw new Error('no such name')
    return [{ address: '192.0.2.1', family: 4 }]
  })
  const waiting = Array.from({ length: 50 }, () => find('silent.example'))
  for (const hostname of ['a.example', 'b.example', 'a.example']) t.strictSame(await find(hostname), [{ address: '192.0.2.1', family: 4 }])
  await t.rejects(find('missing.example'), /no such name/)
  t.strictSame(asked, ['silent.example', 'a.example', 'b.example', 'a.example', 'missing.example'], 'an answer is not kept')
  release()
  t.equal((await Promise.all(waiting)).length, 50)
})

t.test('no more names are looked up at once than allowed', async (t) => {
  let busy = 0
  let most = 0
  const find = createResolve(2, async () => {
    most = Math.max(most, ++busy)
    await new Promise((resolve) => { setImmediate(resolve) })
    busy--
    return []
  })
  await Promise.all(Array.from({ length: 20 }, (_, n) => find(`${n}.example`)))
  t.equal(most, 2)
})

t.test('SEC-161 a name is refused when one of its addresses is', async (t) => {
  const lookUp = (addresses: string[]) => new Promise((resolve, reject) => {
    const find = async () => addresses.map((address) => ({ address, family: 4 }))
    checkedLookup((address) => address !== '169.254.169.254', find)('x.example', { all: true }, (error, found) => {
      if (error) reject(error)
      else resolve(found)
    })
  })
  await t.rejects(lookUp(['192.0.2.1', '169.254.169.254']), { name: 'AddressRefused' })
  await t.rejects(lookUp([]), { name: 'AddressRefused' })
  t.match(await lookUp(['192.0.2.1']), [{ address: '192.0.2.1' }])
})
