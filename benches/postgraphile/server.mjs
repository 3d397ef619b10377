// PostGraphile on the tables of an Abacus database, to compare with: one process, as it comes. The tables have no foreign keys, so
// smart tags say what belongs to what.
import { createServer } from "node:http";
import { grafserv } from "postgraphile/grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { jsonPgSmartTags } from "postgraphile/utils";

// PostGraphile is made for Node.js 22; of what that brought it needs no more than this.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((done, failed) => ([resolve, reject] = [done, failed]));
  return { promise, resolve, reject };
};

const relations = jsonPgSmartTags({
  version: 1,
  config: {
    class: {
      // Beside the table "cell" both would be the type Cell.
      "public.cells": { tags: { name: "other_cells" } },
      "public.orders": {
        tags: { foreignKey: "(account_id) references public.accounts (id)|@fieldName account|@foreignFieldName orders" },
      },
      "public.bills": {
        tags: { foreignKey: "(account_id, order_id) references public.orders (account_id, id)|@fieldName order|@foreignFieldName bills" },
      },
    },
  },
});

const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [relations],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"] })],
  grafast: { explain: false },
  grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false },
};

const server = createServer();
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
const serv = postgraphile(preset).createServ(grafserv);
await serv.addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
