import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** Prints as many free ports of 127.0.0.1 as the first argument says, each on a line. */
const servers = Array.from({ length: Number(process.argv[2] ?? 1) }, () => createServer().listen(0, '127.0.0.1'))
await Promise.all(servers.map((server) => once(server, 'listening')))
for (const server of servers) process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
for (const server of servers) server.close()
