// PostGraphile 4 on the tables of an Abacus database, to compare with: one process, as it comes. The tables have no foreign keys, so
// smart tags say what belongs to what.
import { createServer } from "node:http";
import utils from "graphile-utils";
import { postgraphile } from "postgraphile";

const relations = utils.makeJSONPgSmartTagsPlugin({
  version: 1,
  config: {
    class: {
      // Beside the table "cell" both would be the type Cell.
      cells: { tags: { name: "other_cells" } },
      orders: { tags: { foreignKey: "(account_id) references accounts (id)|@fieldName account|@foreignFieldName orders" } },
      bills: {
        tags: { foreignKey: "(account_id, order_id) references orders (account_id, id)|@fieldName order|@foreignFieldName bills" },
      },
    },
  },
});

const serve = postgraphile(process.env.DATABASE_URL, "public", {
  appendPlugins: [relations],
  disableQueryLog: true,
  graphiql: false,
});

const server = createServer(serve);
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
server.listen(Number(process.env.PORT), "127.0.0.1");
