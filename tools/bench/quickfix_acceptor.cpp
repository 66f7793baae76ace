// The acceptor a desk would write with QuickFIX: it answers every order and every cancel with a
// report, judges nothing and matches nothing. `onebook bench fix` builds it where g++ and the
// headers of QuickFIX are installed, and runs it with QuickFIX's own file store.
//
//   quickfix_acceptor SETTINGS      serves until it is killed

#include <quickfix/Application.h>
#include <quickfix/FileStore.h>
#include <quickfix/Session.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/SocketAcceptor.h>
#include <quickfix/fix44/ExecutionReport.h>

#include <iostream>
#include <string>
#include <unistd.h>

namespace {

// `noexcept` overrides what every release declares, with or without exception specifications.
class Venue : public FIX::Application {
public:
    void onCreate(const FIX::SessionID&) noexcept override {}
    void onLogon(const FIX::SessionID&) noexcept override {}
    void onLogout(const FIX::SessionID&) noexcept override {}
    void toAdmin(FIX::Message&, const FIX::SessionID&) noexcept override {}
    void toApp(FIX::Message&, const FIX::SessionID&) noexcept override {}
    void fromAdmin(const FIX::Message&, const FIX::SessionID&) noexcept override {}

    void fromApp(const FIX::Message& order, const FIX::SessionID& session) noexcept override {
        FIX::MsgType type;
        order.getHeader().getField(type);
        const bool cancel = type == FIX::MsgType_OrderCancelRequest;
        FIX::ClOrdID client_order_id;
        FIX::Symbol symbol;
        FIX::Side side;
        order.getField(client_order_id);
        order.getField(symbol);
        order.getField(side);

        const std::string number = std::to_string(++reports_);
        FIX44::ExecutionReport report(
            FIX::OrderID{number}, FIX::ExecID{number},
            FIX::ExecType{cancel ? FIX::ExecType_CANCELED : FIX::ExecType_NEW},
            FIX::OrdStatus{cancel ? FIX::OrdStatus_CANCELED : FIX::OrdStatus_NEW},
            side, FIX::LeavesQty{0}, FIX::CumQty{0}, FIX::AvgPx{0});
        report.set(client_order_id);
        report.set(symbol);
        report.set(FIX::TransactTime());
        if (cancel) {
            FIX::OrigClOrdID canceled;
            order.getField(canceled);
            report.set(canceled);
        } else {
            FIX::OrderQty quantity;
            FIX::Price price;
            order.getField(quantity);
            order.getField(price);
            report.set(FIX::LeavesQty(quantity.getValue()));
            report.set(quantity);
            report.set(price);
        }
        FIX::Session::sendToTarget(report, session);
    }

private:
    long reports_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::cerr << "usage: quickfix_acceptor SETTINGS\n";
        return 2;
    }
    try {
        FIX::SessionSettings settings(arguments[1]);
        FIX::FileStoreFactory store(settings);
        Venue venue;
        FIX::SocketAcceptor acceptor(venue, store, settings);
        acceptor.start();
        for (;;) {
            pause();
        }
    } catch (const std::exception& error) {
        std::cerr << "quickfix_acceptor: " << error.what() << "\n";
        return 1;
    }
}
